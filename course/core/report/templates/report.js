"use strict";
// The table of results: filters, search, pages. The data are text and stay text: nothing here parses markup.
(() => {
  const PAGE = 100; // rows drawn at a time, however many there are
  const CUT = 300; // characters of a text in its cell; the details hold all of it
  const data = JSON.parse(document.getElementById("data").textContent);
  const two = data.names.length === 2;
  const body = document.getElementById("rows");
  const search = document.getElementById("search");
  const clear = document.getElementById("clear");
  const count = document.getElementById("count");
  const codes = [...document.querySelectorAll("[data-code]")];
  const outcomes = [...document.querySelectorAll("[data-outcome]")];
  const turns = [...document.querySelectorAll("[data-turn]")];
  const outcomeClass = ["win", "loss", "tie"];
  const shown = { code: -1, outcome: -1, query: "", page: 0 };
  let haystacks = null; // what a search looks at, made at the first search
  let matches = [];

  const sides = (row) => row.slice(4);
  const number = (n) => n.toLocaleString("en-GB");

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function haystack(row) {
    return [row[0], data.prompts[row[1]], ...sides(row).map((side) => (side && side[1]) || "")].join("\n").toLowerCase();
  }

  function matching() {
    const query = shown.query.toLowerCase();
    if (query && !haystacks) haystacks = data.rows.map(haystack);
    const found = [];
    data.rows.forEach((row, place) => {
      if (shown.outcome >= 0 && row[3] !== shown.outcome) return;
      if (shown.code >= 0 && !sides(row).some((side) => side && side[3] === shown.code)) return;
      if (query && !haystacks[place].includes(query)) return;
      found.push(row);
    });
    return found;
  }

  function short(text, name, className) {
    const made = element(name, text.slice(0, CUT), className);
    if (text.length <= CUT) return made;
    const both = element("span");
    both.append(made, element("span", ` … ${number(text.length - CUT)} more characters`, "quiet"));
    return both;
  }

  function completion(side) {
    return side[1] === null ? element("span", "(missing)", "quiet") : short(side[1], "code", "said-text");
  }

  function cell(label, ...content) {
    const made = element("td");
    made.dataset.label = label;
    made.append(...content);
    return made;
  }

  function code(side) {
    return element("span", data.codes[side[3]], side[3] === 0 ? "code passed" : "code failed");
  }

  function pairs(list) {
    const made = element("dl", undefined, "pairs");
    for (const [name, value] of list) {
      const said = element("dd");
      said.append(value);
      made.append(element("dt", name), said);
    }
    return made;
  }

  function details(row) {
    const box = element("div", undefined, "detail");
    for (const [name, text] of [["id", row[0]], ["prompt", data.prompts[row[1]]]]) {
      if (text.length > CUT) box.append(pairs([[name, text]]));
    }
    sides(row).forEach((side, which) => {
      const part = element("section");
      if (two) part.append(element("h3", `${which ? "After" : "Before"}: ${data.names[which]}`));
      if (!side) {
        part.append(element("p", "no such sample", "quiet"));
        box.append(part);
        return;
      }
      const whole = side[1] === null ? completion(side) : element("code", side[1], "said-text");
      const list = [["completion", whole], ["reward", side[2]], ["code", code(side)],
        ["why", data.meanings[side[3]]], ["extracted", side[4]]];
      if (two) list.push(["sample", side[0]]);
      if (side[6]) list.push(["unusual", side[6]]);
      const rest = JSON.parse(data.checks[side[5]]);
      for (const [name, value] of Object.entries(rest)) {
        const plain = value !== null && typeof value === "object"
          ? Object.entries(value).map(([check, passed]) => `${check}: ${said(passed)}`).join("; ") : said(value);
        list.push([name, plain]);
      }
      part.append(pairs(list));
      box.append(part);
    });
    return box;
  }

  function said(value) {
    if (value === true || value === false) return value ? "yes" : "no";
    return typeof value === "string" ? value : JSON.stringify(value);
  }

  function draw(row, place) {
    const line = element("tr");
    const name = element("th");
    name.scope = "row";
    name.append(short(row[0], "span"));
    line.append(name);
    const [first] = sides(row);
    if (!two) line.append(cell("sample", first[0]));
    line.append(cell("prompt", short(data.prompts[row[1]], "span")), cell("expected", row[2]));
    if (two) {
      sides(row).forEach((side, which) => {
        const made = cell(which ? "after" : "before", ...(side ? [completion(side), element("br"), code(side)] : ["no such sample"]));
        line.append(made);
      });
      line.append(cell("outcome", element("span", data.outcomes[row[3]], `outcome ${outcomeClass[row[3]]}`)));
    } else {
      line.append(cell("completion", completion(first)), cell("reward", first[2]), cell("code", code(first)));
    }
    const button = element("button", "details");
    const fold = element("tr", undefined, "fold");
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-label", `details of ${row[0].slice(0, CUT)}`);
    fold.id = `fold-${place}`;
    button.setAttribute("aria-controls", fold.id);
    fold.hidden = true;
    button.addEventListener("click", () => {
      fold.hidden = !fold.hidden;
      button.setAttribute("aria-expanded", String(!fold.hidden));
      if (fold.childElementCount) return;
      const inside = element("td");
      inside.colSpan = line.childElementCount;
      inside.append(details(row));
      fold.append(inside);
    });
    line.append(cell("", button));
    return [line, fold];
  }

  function refresh() {
    const start = shown.page * PAGE;
    const rows = matches.slice(start, start + PAGE);
    body.replaceChildren(...rows.flatMap(draw));
    const all = data.rows.length;
    const of = matches.length === all ? number(all) : `${number(matches.length)} found, of ${number(all)} in all`;
    count.textContent = rows.length ? `showing ${number(start + 1)} to ${number(start + rows.length)} of ${of}` : `nothing found, of ${number(all)} in all`;
    const last = Math.max(0, Math.ceil(matches.length / PAGE) - 1);
    for (const turn of turns) {
      const page = shown.page + Number(turn.dataset.turn);
      turn.setAttribute("aria-disabled", String(page < 0 || page > last));
      turn.parentElement.classList.toggle("single", last === 0);
    }
    for (const one of codes) one.setAttribute("aria-pressed", String(Number(one.dataset.code) === shown.code));
    for (const one of outcomes) one.setAttribute("aria-pressed", String(Number(one.dataset.outcome) === shown.outcome));
    clear.hidden = shown.code < 0 && shown.outcome < 0 && !shown.query;
  }

  function change(what) {
    Object.assign(shown, { page: 0 }, what);
    matches = matching();
    refresh();
  }

  function clearAll() {
    search.value = "";
    change({ code: -1, outcome: -1, query: "" });
  }

  for (const one of codes) {
    const mine = Number(one.dataset.code);
    one.addEventListener("click", () => change({ code: shown.code === mine ? -1 : mine }));
  }
  for (const one of outcomes) one.addEventListener("click", () => change({ outcome: Number(one.dataset.outcome) }));
  for (const turn of turns) {
    turn.addEventListener("click", () => {
      if (turn.getAttribute("aria-disabled") === "true") return;
      shown.page += Number(turn.dataset.turn);
      refresh();
      document.getElementById("results").scrollIntoView();
    });
  }
  search.addEventListener("input", () => change({ query: search.value }));
  clear.addEventListener("click", () => {
    clearAll();
    search.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && document.activeElement !== search) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && !clear.hidden) {
      clearAll();
    }
  });
  document.getElementById("results").hidden = false;
  change({});
})();
