"use strict";
// Shows the last readings: asks every second, and only changes what is new.
const EVERY_MS = 1000;
const shown = new Map();
const byId = (id) => document.getElementById(id);

function cell(text, name) {
  const made = document.createElement("td");
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

function row(reading) {
  const made = document.createElement("tr");
  const confidence = reading.record.confidence;
  made.append(
    cell(new Date(reading.finished_at).toLocaleTimeString()),
    cell(reading.station),
    cell(reading.number),
    cell(reading.outcome, reading.outcome),
    cell(reading.text || "–", "read"),
    cell(confidence === null ? "" : confidence.toFixed(3)),
    cell(reading.reasons.join("; ")),
  );
  return made;
}

function showStation(section, state, last) {
  const counts = Object.entries(state.shift).map(([name, count]) => `${name} ${count}`).join(" · ");
  const since = new Date(state.shift_began_at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  section.querySelector(".counts").textContent = `Since ${since}: ${counts} · waiting ${state.waiting}`;
  if (!last || shown.get(state.name) === last.trigger) return;
  shown.set(state.name, last.trigger);
  const outcome = section.querySelector(".outcome");
  outcome.textContent = last.outcome;
  outcome.className = `outcome ${last.outcome}`;
  section.querySelector(".code").textContent = last.text || "–";
  section.querySelector(".why").textContent = last.reasons.join("; ");
  const picture = section.querySelector("img");
  picture.hidden = true;
  picture.alt = `Picture of ${last.text || "the part"}`;
  picture.onload = () => { picture.hidden = false; };
  picture.src = `/v1/pictures/${encodeURIComponent(last.trigger)}/0`;
}

async function update() {
  try {
    const answer = await fetch("/live");
    if (!answer.ok) throw new Error((await answer.json()).error);
    const live = await answer.json();
    byId("readings").replaceChildren(...live.readings.map(row));
    for (const state of live.stations) {
      const section = [...document.querySelectorAll(".station")].find((one) => one.dataset.station === state.name);
      showStation(section, state, live.last[state.name]);
    }
    byId("model").textContent = live.model_id;
    byId("state").textContent = `${live.ready ? "Running" : "Not ready"} · ${new Date().toLocaleTimeString()}`;
    byId("trouble").textContent = live.problems.join(" ");
    byId("trouble").hidden = live.problems.length === 0;
  } catch (error) {
    byId("trouble").textContent = `No connection to the service: ${error.message}`;
    byId("trouble").hidden = false;
  }
  setTimeout(update, EVERY_MS);
}

update();
