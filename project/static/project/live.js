"use strict";
/* The demo's list and pages of sessions show by themselves what is new, until the live part is over. */
const SECONDS = 2;
const PARTS = "#result_list tbody, .ccs-fresh, .ccs-hero h1, .ccs-badges, [aria-labelledby=ccs-why], [aria-labelledby=ccs-when]";
const PAUSED = "project.live.paused";
const until = Number(document.currentScript.dataset.until) * 1000;
const isPaused = () => sessionStorage.getItem(PAUSED) === "yes";

/* Whoever chooses, types or unfolds something is left alone. */
function isIdle() {
    const content = document.querySelector("#content");
    return document.visibilityState === "visible"
        && !content.querySelector("input:checked, details[open]:not([data-filter-title]):not(.ccs-tree details)")
        && !content.contains(document.activeElement);
}

function shown(page) {
    return [...page.querySelectorAll(PARTS)].map((part) => part.textContent.replace(/\s+/g, " ")).join("\n");
}

async function look() {
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (shown(page) !== shown(document) && isIdle() && !isPaused()) location.reload();
}

document.addEventListener("DOMContentLoaded", () => {
    if (!document.body.matches(".ccs.model-workflowsession")) return;
    const note = document.createElement("p");
    note.className = "help";
    const text = document.createElement("span");
    const button = document.createElement("button");
    button.type = "button";
    const tell = () => {
        text.textContent = isPaused() ? "Live demo, paused. " : "Live demo: this page shows by itself what is new. ";
        button.textContent = isPaused() ? "Go on" : "Pause";
    };
    button.addEventListener("click", () => {
        sessionStorage.setItem(PAUSED, isPaused() ? "no" : "yes");
        button.blur();
        tell();
    });
    tell();
    note.append(text, button);
    document.querySelector("#content").prepend(note);
    const timer = setInterval(() => {
        if (Date.now() > until) {
            clearInterval(timer);
            note.textContent = "The live part of the demo is over.";
        } else if (!isPaused() && isIdle()) {
            look().catch(() => {});
        }
    }, SECONDS * 1000);
});
