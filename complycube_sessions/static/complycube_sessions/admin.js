"use strict";
/* A search box over each tree: what matches is marked, and its branches are unfolded. The pages work without it. */
for (const area of document.querySelectorAll("[data-ccs-search]")) {
    const form = document.createElement("div");
    form.className = "ccs-search";
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "search";
    label.append(area.dataset.ccsSearch, " ", input);
    const count = document.createElement("span");
    count.setAttribute("role", "status");
    form.append(label, " ", count);
    area.prepend(form);
    const rows = [...area.querySelectorAll(".ccs-tree li")];
    input.addEventListener("input", () => {
        const wanted = input.value.trim().toLowerCase();
        let found = 0;
        for (const row of rows) {
            const own = row.firstElementChild?.matches("details")
                ? row.querySelector(":scope > details > summary")
                : row;
            const key = own.querySelector(":scope > .ccs-key")?.title ?? "";
            const match = wanted !== "" && `${own.textContent} ${key}`.toLowerCase().includes(wanted);
            row.classList.toggle("ccs-match", match);
            if (!match) continue;
            found += 1;
            for (const long of row.querySelectorAll(":scope > .ccs-long")) long.open = true;
            for (let up = own.parentElement; up && up !== area; up = up.parentElement) {
                if (up.matches("details")) up.open = true;
            }
        }
        count.textContent = wanted ? `${found} ${area.dataset.ccsFound}` : "";
    });
}
/* The box in the heading of a list takes all rows of the page; the rows of all pages are all of this one too. */
const rows = [...document.querySelectorAll(".ccs-list .action-select")];
const all = document.querySelector(".ccs-list .ccs-all");
const everywhere = document.querySelector(".ccs-list [name=select_across]");
const selected = document.querySelector("[data-ccs-selected]");
function tell() {
    const count = rows.filter((box) => box.checked).length;
    if (all) all.checked = count > 0 && count === rows.length;
    if (everywhere && count < rows.length) everywhere.checked = false;
    if (selected) selected.textContent = selected.dataset.ccsSelected.replace("COUNT", count);
}
function take(checked) {
    for (const box of rows) box.checked = checked;
    tell();
}
all?.addEventListener("change", () => take(all.checked));
everywhere?.addEventListener("change", () => everywhere.checked && take(true));
for (const box of rows) box.addEventListener("change", tell);
/* Without a script a click selects all of an id. */
for (const id of document.querySelectorAll(".ccs-copy")) {
    id.addEventListener("click", async () => {
        await navigator.clipboard?.writeText(id.textContent);
        id.classList.add("ccs-copied");
    });
}
/* On paper nothing can be unfolded. */
let folded = [];
window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll(".ccs details:not([open]):not(.ccs-raw)")];
    for (const part of folded) part.open = true;
});
window.addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
});
/* Keys for those who work reviews off; `?` shows them. What they do, links and buttons do as well. */
const keys = document.querySelector("[data-ccs-keys]");
const rowLinks = [...document.querySelectorAll("#result_list tbody th a")];
function step(by) {
    const place = rowLinks.indexOf(document.activeElement);
    rowLinks[Math.max(0, Math.min(rowLinks.length - 1, place + by))]?.focus();
}
function press(key) {
    const target = document.querySelector(`[data-ccs-key="${key}"]`);
    if (!target) return false;
    const fold = target.closest("details");
    if (fold) fold.open = true;
    if (key === "t") target.click();
    else target.focus();
    return true;
}
document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, dialog, [contenteditable]");
    if (!keys || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "?") keys.showModal();
    else if (event.key === "j" && rowLinks.length) step(1);
    else if (event.key === "k" && rowLinks.length) step(-1);
    else if (!["t", "n", "d"].includes(event.key) || !press(event.key)) return;
    event.preventDefault();
});
