// Listings: tables with a search, sorting by columns, pages, and keys. Of the rows only a page is ever in the document.

// Makes an element; what follows its attributes goes into it, text as text.
function make(name, attributes, ...content) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...content);
  return element;
}

// A search over `count` texts, which are made when first needed; gives the places where all words of a query occur.
function makeSearch(count, textOf) {
  let texts = null;
  return (query, most = Infinity) => {
    const words = query.toLowerCase().split(/\s+/).filter((word) => word !== "");
    texts ??= Array.from({length: count}, (_, place) => textOf(place).toLowerCase());
    const found = [];
    for (let place = 0; place < count && found.length < most; place += 1) {
      if (words.every((word) => texts[place].includes(word))) found.push(place);
    }
    return found;
  };
}

const collator = new Intl.Collator("en", {numeric: true});

// Fills a section with a listing of `count` rows. A column is {title, text(place), cell(place)?, number(place)?}; `text`
// is searched, sorted and shown, unless `number` sorts and `cell` shows. `act` is {title, run(place)}: what Enter on a
// row, or its button, does. Gives a function that searches.
function makeListing(section, {what, count, columns, size, act, hint}) {
  const home = section.querySelector(".listing");
  const title = section.querySelector("h2").textContent;
  const id = `${section.id}-search`;
  const search = makeSearch(count, (place) => columns.map((column) => column.text(place)).join(" "));
  let [places, page, sorted, down] = [search(""), 0, null, false];

  const field = make("input", {id, type: "search", spellcheck: "false", autocapitalize: "none", placeholder: hint});
  const status = make("p", {class: "status", role: "status"});
  const body = make("tbody", {role: "rowgroup"});
  const row = make("tr", {role: "row"});
  const heads = columns.map((column, index) => {
    const button = make("button", {type: "button", class: "sort"}, column.title);
    const head = make("th", {scope: "col", role: "columnheader", "aria-sort": "none"}, button);
    button.addEventListener("click", () => sortBy(index));
    return head;
  });
  row.append(...heads);
  if (act !== undefined) row.append(make("th", {scope: "col", role: "columnheader", class: "act"}, make("span", {class: "unseen"}, "Action")));
  const table = make("table", {role: "grid", "aria-labelledby": `${section.id}-title`});
  table.append(make("thead", {role: "rowgroup"}, row), body);
  const buttons = {
    first: make("button", {type: "button", class: "quiet", "aria-label": `First page of ${title}`}, "First"),
    back: make("button", {type: "button", class: "quiet", "aria-label": `Previous page of ${title}`}, "Previous"),
    on: make("button", {type: "button", class: "quiet", "aria-label": `Next page of ${title}`}, "Next"),
    last: make("button", {type: "button", class: "quiet", "aria-label": `Last page of ${title}`}, "Last"),
  };
  const where = make("span", {class: "where"});
  const pager = make("div", {class: "pager"});
  pager.append(buttons.first, buttons.back, where, buttons.on, buttons.last);
  const label = make("label", {for: id, class: "unseen"}, `Search ${title.toLowerCase()}`);
  home.append(make("div", {class: "tools"}, label, field, status), make("div", {class: "scroll"}, table), pager);

  const pages = () => Math.max(1, Math.ceil(places.length / size));
  const cellOf = (column, place) => {
    const content = column.cell === undefined ? column.text(place) : column.cell(place);
    return make("td", {role: "gridcell", "data-title": column.title}, make("div", {}, content));
  };
  const rowOf = (place) => {
    const line = make("tr", {role: "row", tabindex: "-1"});
    line.dataset.place = place;
    line.append(...columns.map((column) => cellOf(column, place)));
    if (act !== undefined) {
      const button = make("button", {type: "button", class: "quiet", tabindex: "-1"}, act.title);
      button.addEventListener("click", () => act.run(place));
      line.append(make("td", {role: "gridcell", class: "act"}, button));
    }
    return line;
  };
  const show = (focus = null) => {
    page = Math.min(Math.max(page, 0), pages() - 1);
    const shown = places.slice(page * size, (page + 1) * size);
    body.replaceChildren(...shown.map(rowOf));
    const found = places.length === count ? `${count.toLocaleString("en")} ${what}` : `${places.length.toLocaleString("en")} of ${count.toLocaleString("en")} ${what}`;
    status.textContent = places.length === 0 && count > 0 ? `Nothing matches; there are ${count.toLocaleString("en")} ${what}` : found;
    table.hidden = places.length === 0;
    pager.hidden = pages() === 1;
    where.textContent = `Page ${(page + 1).toLocaleString("en")} of ${pages().toLocaleString("en")}`;
    for (const [name, off] of [["first", page === 0], ["back", page === 0], ["on", page === pages() - 1], ["last", page === pages() - 1]]) {
      buttons[name].disabled = off;
    }
    const rows = body.children;
    if (rows.length === 0) return;
    const chosen = rows[focus === null ? 0 : Math.min(focus, rows.length - 1)];
    chosen.tabIndex = 0;
    if (focus !== null) chosen.focus();
  };
  const order = () => {
    if (sorted === null) return;
    const column = columns[sorted];
    const keys = new Map(places.map((place) => [place, column.number === undefined ? column.text(place) : column.number(place)]));
    const compare = column.number === undefined ? collator.compare : (one, other) => one - other;
    places.sort((one, other) => (down ? -1 : 1) * compare(keys.get(one), keys.get(other)) || one - other);
  };
  const sortBy = (index) => {
    down = sorted === index && !down;
    sorted = index;
    heads.forEach((head, place) => head.setAttribute("aria-sort", place !== index ? "none" : down ? "descending" : "ascending"));
    order();
    page = 0;
    show();
  };
  const searchFor = (query) => {
    places = search(query);
    order();
    page = 0;
    show();
  };

  field.addEventListener("input", () => searchFor(field.value));
  field.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" || body.children.length === 0) return;
    event.preventDefault();
    show(0);
  });
  for (const [name, next] of [["first", () => 0], ["back", () => page - 1], ["on", () => page + 1], ["last", () => pages() - 1]]) {
    buttons[name].addEventListener("click", () => {
      page = next();
      show();
    });
  }
  body.addEventListener("keydown", (event) => {
    const line = event.target.closest("tr");
    if (event.target !== line) return;
    const [at, last] = [[...body.children].indexOf(line), body.children.length - 1];
    const move = (to) => {
      line.tabIndex = -1;
      body.children[to].tabIndex = 0;
      body.children[to].focus();
    };
    const turn = (by, to) => {
      if (page + by < 0 || page + by >= pages()) return;
      page += by;
      show(to);
    };
    if (event.key === "ArrowDown") at < last ? move(at + 1) : turn(1, 0);
    else if (event.key === "ArrowUp") at > 0 ? move(at - 1) : turn(-1, size - 1);
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(last);
    else if (event.key === "PageDown") turn(1, at);
    else if (event.key === "PageUp") turn(-1, at);
    else if (event.key === "Enter" && act !== undefined) act.run(Number(line.dataset.place));
    else return;
    event.preventDefault();
  });
  show();
  return (query) => {
    field.value = query;
    searchFor(query);
    section.scrollIntoView();
    field.focus({preventScroll: true});
  };
}
