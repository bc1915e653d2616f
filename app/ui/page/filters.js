// What is set on the bar goes out as one change, a moment after the last touch of it. Its content is replaced after each
// step: what is not sent yet is drawn over it, and what had the focus is found again.
const DAY = 1440, STEP = 30, SOON = 350, LATER = 700; // minutes; milliseconds after a pointer, and after a key
let edits = {}, timer = 0, drag = null, focused = '', isOpen = null;
const one = (selector) => element.querySelector(selector);
const all = (selector) => [...element.querySelectorAll(selector)];
const clock = (minutes) => `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
const bounds = () => {
  const hours = one('.cr-hours');
  return edits.hours || [Number(hours?.dataset.after || 0), Number(hours?.dataset.before || DAY)];
};
const send = () => {
  clearTimeout(timer); timer = 0;
  const { hours, ...change } = edits;
  if (hours) change.hours = [hours[0] ? clock(hours[0]) : '', hours[1] < DAY ? clock(hours[1]) : ''];
  if (Object.keys(change).length) trigger('set', change);
};
const soon = (delay) => { clearTimeout(timer); timer = setTimeout(send, delay); };

const paintHours = () => {
  const hours = one('.cr-hours');
  if (!hours) return;
  const [after, before] = bounds(), wraps = after > before, isAll = !after && before === DAY;
  const spans = wraps ? [[after, DAY], [0, before]] : [[after, before], [0, 0]];
  all('.cr-hours-in').forEach((span, place) => {
    const [from, until] = spans[place];
    span.style.left = `${(from / DAY) * 100}%`; span.style.width = `${((until - from) / DAY) * 100}%`;
  });
  hours.classList.toggle('is-all', isAll);
  all('.cr-thumb').forEach((thumb) => {
    const value = thumb.dataset.thumb === 'after' ? after : before;
    thumb.style.left = `${(value / DAY) * 100}%`;
    thumb.setAttribute('aria-valuenow', value); thumb.setAttribute('aria-valuetext', clock(value));
  });
  const words = isAll ? 'Any hour' : `${clock(after)} to ${clock(before)}${wraps ? '<span>, over midnight</span>' : ''}`;
  const output = one('output');
  if (output.innerHTML !== words) output.innerHTML = words; // digits and our own words alone
};
const paint = () => {
  const bar = one('.cr-filters');
  if (!bar) return;
  bar.dataset.painted = 'yes';
  if (isOpen !== null) element.dataset.open = isOpen ? 'yes' : 'no';
  const isShown = one('.cr-filters-body').checkVisibility();
  one('[data-fold]').setAttribute('aria-expanded', String(isShown));
  if (edits.cameras) all('[data-camera]').forEach((button) => {
    const { camera } = button.dataset;
    button.dataset.state = edits.cameras.includes(camera) ? 'on' : edits.not_cameras.includes(camera) ? 'out' : 'off';
    button.setAttribute('aria-pressed', String(button.dataset.state === 'on'));
  });
  if (edits.days) all('[data-day]').forEach((field) => { field.value = edits.days[field.dataset.day === 'first' ? 0 : 1]; });
  paintHours();
};

element.addEventListener('click', ({ target }) => {
  const button = target.closest('button');
  if (!button) return;
  const { fold, camera, allDay } = button.dataset;
  if (fold) { isOpen = !one('.cr-filters-body').checkVisibility(); paint(); }
  if (allDay) { edits.hours = [0, DAY]; paint(); soon(SOON); }
  if (camera === undefined) return;
  button.dataset.state = button.dataset.state === 'off' ? 'on' : 'off';
  const named = (state) => all(`[data-camera][data-state="${state}"]`).map((other) => other.dataset.camera);
  edits.cameras = named('on'); edits.not_cameras = named('out');
  paint(); soon(LATER);
});
element.addEventListener('change', ({ target }) => {
  if (!target.dataset.day || !target.checkValidity()) return;
  const days = all('[data-day]').map((field) => field.value);
  if (days[0] && days[1] && days[0] > days[1]) days[target.dataset.day === 'first' ? 1 : 0] = target.value;
  edits.days = days;
  paint(); soon(LATER);
});

// The hours: a thumb is drawn, a span brushed, or an hour clicked. Thumbs may pass each other: then it is over midnight.
const minutesAt = (event) => {
  const box = one('.cr-hours-plot').getBoundingClientRect();
  return Math.min(DAY, Math.max(0, (event.clientX - box.left) / box.width * DAY));
};
const snapped = (minutes) => Math.round(minutes / STEP) * STEP;
const move = (thumb, to, way = 0) => {
  const place = thumb === 'after' ? 0 : 1, [least, most] = place ? [STEP, DAY] : [0, DAY - STEP];
  const hours = [...bounds()];
  let value = Math.min(most, Math.max(least, to));
  if (value === hours[1 - place]) value += way * STEP; // from and until at one time is no span: step over it
  if (value === hours[1 - place] || value < least || value > most) return;
  hours[place] = value;
  edits.hours = hours; paint();
};
element.addEventListener('pointerdown', (event) => {
  const plot = event.target.closest('.cr-hours-plot');
  if (!plot || event.button) return;
  event.preventDefault();
  clearTimeout(timer); timer = 0;
  const thumb = event.target.closest('.cr-thumb');
  thumb?.focus();
  drag = { thumb: thumb?.dataset.thumb, from: minutesAt(event), x: event.clientX, moved: false, before: edits.hours };
  element.setPointerCapture(event.pointerId);
});
element.addEventListener('pointermove', (event) => {
  if (!drag || (!drag.moved && Math.abs(event.clientX - drag.x) < 4)) return;
  drag.moved = true;
  const here = minutesAt(event);
  if (drag.thumb) return move(drag.thumb, snapped(here));
  const [from, until] = [snapped(Math.min(drag.from, here)), snapped(Math.max(drag.from, here))];
  if (from < until) { edits.hours = [from, until]; paint(); }
});
element.addEventListener('pointerup', (event) => {
  if (!drag) return;
  if (!drag.moved && !drag.thumb) {
    const hour = Math.min(23, Math.floor(drag.from / 60));
    edits.hours = [hour * 60, hour * 60 + 60]; paint();
  }
  drag = null;
  if (Object.keys(edits).length) soon(SOON);
});
element.addEventListener('pointercancel', () => { // a finger scrolls the page
  if (!drag) return;
  if (drag.before) edits.hours = drag.before; else delete edits.hours;
  drag = null;
  paint();
  if (Object.keys(edits).length) soon(SOON);
});
element.addEventListener('keydown', (event) => {
  const thumb = event.target.dataset?.thumb;
  if (!thumb || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'Enter' && timer) return send();
  const by = { ArrowRight: STEP, ArrowUp: STEP, ArrowLeft: -STEP, ArrowDown: -STEP, PageUp: 180, PageDown: -180, Home: -DAY, End: DAY }[event.key];
  if (!by) return;
  event.preventDefault();
  const value = bounds()[thumb === 'after' ? 0 : 1];
  move(thumb, (by > 0 ? Math.floor : Math.ceil)(value / STEP) * STEP + by, Math.sign(by));
  soon(LATER);
});

element.addEventListener('focusin', ({ target }) => { focused = target.dataset.key || ''; });
element.addEventListener('focusout', ({ relatedTarget }) => { if (relatedTarget) focused = ''; });
new MutationObserver(() => {
  const bar = one('.cr-filters');
  if (!bar || bar.dataset.painted) return; // only what the server has drawn anew is bare
  if (!timer && !drag) edits = {}; // what was sent is drawn by now
  paint();
  if (focused && document.activeElement === document.body) all('[data-key]').find((other) => other.dataset.key === focused)?.focus({ preventScroll: true });
}).observe(element, { childList: true, subtree: true, attributes: true });
window.addEventListener('resize', paint);
paint();
