// The pictures of a list at full size: zoom and pan, from one to the next, two side by side, the query beside them.
// Whatever opens it is a button [data-zoom] that names its list; what a list holds stands in its buttons' attributes.
const dialog = element.querySelector('dialog');
const stage = dialog.querySelector('.cr-viewer-stage');
const pane = Object.fromEntries([...dialog.querySelectorAll('[data-pane]')].map((one) => [one.dataset.pane, one]));
const lists = {
  candidates: { name: 'Candidates', of: '#candidates button[data-picture]' },
  board: { name: 'Sightings', of: '#board button[data-picture]' },
  kin: { name: 'Judged together', of: '#selected .cr-kin button[data-picture]' },
};
const FARTHEST = 8; // times the size at which the picture fits
const STEP = 1.4;

let list = '', came = null, wantsQuery = true, active = 'first';
let shown = { query: [], first: [], second: [] }; // what can be stepped through in each pane; "second" has the list of "first"
let at = { query: 0, first: 0, second: -1 };
let view = { scale: 1, x: 0, y: 0 }; // of all panes; x and y from the middle, in parts of a pane

const idOf = ({ dataset }) => dataset.id || dataset.open || dataset.of;
const item = (one) => ({
  id: idOf(one), picture: one.dataset.picture, title: one.dataset.title, place: one.dataset.place,
  moment: one.dataset.moment, sure: one.dataset.sure, small: one.querySelector('img')?.currentSrc,
});
const comparing = () => at.second >= 0;
const open = () => dialog.open;
const panes = () => Object.keys(pane).filter((name) => !pane[name].hidden);
const frame = (name) => pane[name].querySelector('.cr-viewer-frame');
const here = (name) => shown[name][at[name]];

// What is shown

const told = (one) => [one.place, one.moment, one.sure].filter(Boolean);
const spoken = (one) => [one.title, ...told(one)].filter(Boolean).join(', ');
const made = (tag, text, style = '') => Object.assign(document.createElement(tag), { textContent: text, className: style });
const draw = (name) => {
  const one = here(name);
  const image = pane[name].querySelector('img');
  const caption = pane[name].querySelector('figcaption');
  const many = shown[name].length > (name === 'query' ? 1 : comparing() ? 2 : 1);
  for (const button of pane[name].querySelectorAll('[data-step]')) {
    button.hidden = !many;
    button.disabled = next(name, Number(button.dataset.step)) < 0;
  }
  const isSame = image.dataset.of === one.picture;
  image.alt = spoken(one);
  const title = made('span', '');
  title.append(made('b', one.title), name === 'query' || list === 'board' || shown[name].length < 2 ? '' : ` of ${shown[name].length}`);
  caption.replaceChildren(title, ...told(one).flatMap((part) => [' ', made('span', part)]));
  if (isSame) return;
  image.dataset.of = one.picture;
  image.src = one.small || one.picture; // at once, until all of it is here
  const whole = new Image();
  whole.onload = () => { if (image.dataset.of === one.picture) { image.src = one.picture; place(); } };
  whole.onerror = async () => {
    const answer = await fetch(one.picture).catch(() => null);
    if (image.dataset.of !== one.picture || answer?.ok) return;
    const said = answer ? await answer.text() : 'The picture cannot be fetched now.';
    caption.append(' ', made('span', said, 'cr-viewer-fault'));
    image.dataset.of = ''; // is asked for again when it is shown next
  };
  whole.src = one.picture;
};
const next = (name, by) => {
  const other = { first: at.second, second: at.first }[name];
  let to = at[name] + by;
  if (to === other) to += by;
  return to >= 0 && to < shown[name].length ? to : -1;
};
const button = (what) => dialog.querySelector(`[data-do="${what}"]`);
const drawAll = () => {
  const hasQuery = shown.query.length > 0;
  pane.query.hidden = !hasQuery || !wantsQuery;
  pane.second.hidden = !comparing();
  dialog.classList.toggle('is-comparing', comparing());
  for (const name of ['first', 'second']) pane[name].classList.toggle('is-active', comparing() && active === name);
  button('query').hidden = !hasQuery;
  button('query').setAttribute('aria-pressed', String(!pane.query.hidden));
  button('compare').hidden = shown.first.length < 2;
  button('compare').setAttribute('aria-pressed', String(comparing()));
  button('select').hidden = list === 'board' || !card(here(active).id);
  panes().forEach(draw);
  place();
};
const say = () => {
  const both = comparing() ? ['first', 'second'] : ['first'];
  dialog.querySelector('.cr-heard').textContent = both.map((name) => spoken(here(name))).join('; beside ');
};

// Zoom and pan: one view for all, so that the same part of each is compared

const fit = (name) => {
  const image = pane[name].querySelector('img');
  const { clientWidth: width, clientHeight: height } = frame(name);
  const scale = Math.min(width / (image.naturalWidth || width), height / (image.naturalHeight || height));
  return { scale, width: scale * image.naturalWidth / width, height: scale * image.naturalHeight / height };
};
const place = () => {
  if (!open()) return;
  const all = panes().map(fit);
  const most = (side) => Math.max(0, ...all.map((one) => (one[side] * view.scale - 1) / 2));
  view.x = Math.max(-most('width'), Math.min(most('width'), view.x));
  view.y = Math.max(-most('height'), Math.min(most('height'), view.y));
  for (const name of panes()) {
    pane[name].querySelector('img').style.transform = `translate(${view.x * 100}%, ${view.y * 100}%) scale(${view.scale})`;
  }
  dialog.classList.toggle('is-zoomed', view.scale > 1);
  dialog.querySelector('output').textContent = `${Math.round(100 * view.scale * fit(active).scale)}%`;
  button('out').disabled = button('fit').disabled = view.scale <= 1;
  button('in').disabled = view.scale >= FARTHEST;
};
// x, y: the point that stays where it is, from the middle, in parts of a pane.
const zoom = (to, x = 0, y = 0) => {
  const scale = Math.max(1, Math.min(FARTHEST, to));
  const by = scale / view.scale;
  view = { scale, x: x - (x - view.x) * by, y: y - (y - view.y) * by };
  place();
};
const point = (target, { x, y }) => {
  const box = target.getBoundingClientRect();
  return [(x - box.left) / box.width - 0.5, (y - box.top) / box.height - 0.5];
};

// Steps

const step = (by, name = active) => {
  const to = next(name, by);
  if (to < 0) return;
  at[name] = to;
  if (name !== 'query') active = name;
  drawAll();
  say();
  const further = next(name, by);
  if (further >= 0) new Image().src = shown[name][further].picture; // is there when it is asked for
};
const compare = () => {
  if (comparing()) {
    at.first = at[active];
    at.second = -1;
    active = 'first';
  } else {
    at.second = at.first + 1 < shown.first.length ? at.first + 1 : at.first - 1;
    active = at.second >= 0 ? 'second' : 'first';
  }
  drawAll();
  say();
};
const card = (id) => document.querySelector(`#candidates button[data-id="${CSS.escape(id)}"]`);
const shut = () => {
  dialog.close();
  const back = came && (came.list === 'candidates' && came.isCard ? card(came.id) : document.querySelector(came.selector));
  (back || card(came?.id ?? '') || document.querySelector('#message textarea'))?.focus();
};
const act = {
  in: () => zoom(view.scale * STEP),
  out: () => zoom(view.scale / STEP),
  fit: () => zoom(1),
  query: () => { wantsQuery = !wantsQuery; drawAll(); },
  compare,
  select: () => {
    const chosen = card(here(active).id);
    came = { id: here(active).id, list, isCard: true };
    shut();
    chosen?.click();
  },
  close: shut,
};

document.addEventListener('click', ({ target }) => {
  const opener = target.closest?.('button[data-zoom]');
  if (!opener || open()) return;
  list = opener.dataset.zoom;
  const id = idOf(opener);
  const all = [...document.querySelectorAll(lists[list].of)].map(item);
  const from = all.findIndex((one) => one.id === id);
  const isCard = list === 'candidates' && !opener.dataset.picture;
  const selector = {
    board: `#board dialog[open] [data-zoom], #board button[data-open="${id}"]`,
    kin: `#selected .cr-kin [data-of="${id}"]`,
    candidates: '#selected [data-zoom]',
  }[list];
  came = { id, list, isCard, selector };
  const query = [...document.querySelectorAll('#selected [data-query]')].map((one, place, { length }) => (
    { picture: one.dataset.query || one.src, title: length > 1 ? `Your query, picture ${place + 1} of ${length}` : 'Your query' }
  ));
  shown = { query, first: from >= 0 ? all : [item(opener)] };
  shown.second = shown.first;
  at = { query: 0, first: Math.max(0, from), second: -1 };
  active = 'first';
  view = { scale: 1, x: 0, y: 0 };
  dialog.querySelector('[data-name]').textContent = lists[list].name;
  dialog.showModal();
  stage.focus();
  drawAll();
  say();
});
dialog.addEventListener('click', ({ target }) => {
  const pressed = target.closest('button');
  if (pressed?.dataset.do) act[pressed.dataset.do]();
  if (pressed?.dataset.step) step(Number(pressed.dataset.step), pressed.closest('[data-pane]').dataset.pane);
  if (pressed && (pressed.disabled || pressed.hidden)) stage.focus();
});
dialog.addEventListener('cancel', (event) => { event.preventDefault(); shut(); });
dialog.addEventListener('keydown', (event) => {
  event.stopPropagation(); // the shortcuts of the desk rest
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const by = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
  const does = { '+': 'in', '=': 'in', '-': 'out', 0: 'fit', c: 'compare', q: 'query' }[key];
  if (by && view.scale > 1) {
    view.x += by[0] * 0.1;
    view.y += by[1] * 0.1;
    place();
  } else if (key === 'ArrowLeft' || key === 'PageUp') step(-1);
  else if (key === 'ArrowRight' || key === 'PageDown') step(1);
  else if (does) { if (!button(does).hidden && !button(does).disabled) act[does](); }
  else if (key === 'Enter' && target === stage) { if (!button('select').hidden) act.select(); }
  else return;
  event.preventDefault();
});
new ResizeObserver(place).observe(stage);

// By pointer: wheel, drag, pinch, swipe, and twice for near or far.

const down = new Map();
let start = null, tapped = { time: 0, x: 0, y: 0 };
stage.addEventListener('wheel', (event) => {
  const target = event.target.closest('.cr-viewer-frame');
  if (!target) return;
  event.preventDefault();
  zoom(view.scale * Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), ...point(target, event));
}, { passive: false });
const gesture = () => {
  const [one, two] = [...down.values()];
  const x = two ? (one.x + two.x) / 2 : one.x;
  const y = two ? (one.y + two.y) / 2 : one.y;
  start = { x, y, apart: two ? Math.hypot(one.x - two.x, one.y - two.y) : 0, view: { ...view }, moved: start?.moved || Boolean(two) };
};
stage.addEventListener('pointerdown', (event) => {
  const target = event.target.closest('.cr-viewer-frame');
  if (!target || event.target.closest('button') || event.button) return;
  const name = target.closest('[data-pane]').dataset.pane;
  if (comparing() && name !== 'query' && active !== name) { active = name; drawAll(); }
  if (!down.size) start = null;
  target.setPointerCapture(event.pointerId);
  down.set(event.pointerId, { x: event.clientX, y: event.clientY, target });
  gesture();
});
stage.addEventListener('pointermove', (event) => {
  const one = down.get(event.pointerId);
  if (!one) return;
  down.set(event.pointerId, { ...one, x: event.clientX, y: event.clientY });
  const { width, height } = one.target.getBoundingClientRect();
  const [a, b] = [...down.values()];
  const x = b ? (a.x + b.x) / 2 : a.x;
  const y = b ? (a.y + b.y) / 2 : a.y;
  if (Math.hypot(x - start.x, y - start.y) > 6) start.moved = true;
  view = { ...start.view };
  if (b && start.apart) zoom(view.scale * Math.hypot(a.x - b.x, a.y - b.y) / start.apart, ...point(one.target, start));
  view.x += (x - start.x) / width;
  view.y += (y - start.y) / height;
  place();
});
const up = (event) => {
  const one = down.get(event.pointerId);
  if (!one) return;
  down.delete(event.pointerId);
  if (down.size) { gesture(); return; }
  const dx = event.clientX - start.x;
  const dy = event.clientY - start.y;
  const isSwipe = event.pointerType !== 'mouse' && start.view.scale === 1 && view.scale === 1 && Math.abs(dx) > 50 && Math.abs(dx) > 1.5 * Math.abs(dy);
  const name = one.target.closest('[data-pane]').dataset.pane;
  if (isSwipe && event.type === 'pointerup') step(dx < 0 ? 1 : -1, name === 'query' ? 'first' : name);
  else if (!start.moved) {
    const isSecond = event.timeStamp - tapped.time < 350 && Math.hypot(event.clientX - tapped.x, event.clientY - tapped.y) < 30;
    if (isSecond) zoom(view.scale > 1 ? 1 : 2.5, ...point(one.target, { x: event.clientX, y: event.clientY }));
    tapped = { time: isSecond ? 0 : event.timeStamp, x: event.clientX, y: event.clientY };
  }
};
stage.addEventListener('pointerup', up);
stage.addEventListener('pointercancel', up);
