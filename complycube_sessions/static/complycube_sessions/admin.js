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
/* On a narrow screen each row is a card, whose values take their labels from the headings. */
const headings = [...document.querySelectorAll("#result_list thead th")].map(
    (heading) => heading.querySelector(".text")?.textContent.trim() ?? "",
);
for (const row of document.querySelectorAll("#result_list tbody tr")) {
    [...row.cells].forEach((cell, index) => {
        if (headings[index] && cell.tagName === "TD" && !cell.classList.contains("action-checkbox")) {
            cell.dataset.label = headings[index];
        }
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
