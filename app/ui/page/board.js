// Its content is replaced after each step: what had the focus is found again by its crop, and what is open stays open,
// with what was typed there.
let last = '', opened = '', draft = null;
const dialog = (id) => element.querySelector(`dialog[data-image="${id}"]`);
// The event "close" comes with the next frame, which a page in the background does not draw.
const closed = () => { opened = ''; draft = null; };
const close = (from) => { closed(); from.closest('dialog')?.close(); };
element.addEventListener('click', (event) => {
  if (event.target.matches('dialog')) { // its own edge, or beside it
    const box = event.target.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) event.target.close();
    return;
  }
  const button = event.target.closest('button');
  if (!button) return;
  const { open, search, takeOff, dismiss } = button.dataset;
  if (open) { last = opened = open; dialog(open)?.showModal(); }
  if (dismiss) close(button);
  if (search) { close(button); trigger('search', { image_id: Number(search) }); }
  if (takeOff) { close(button); trigger('take_off', { image_id: Number(takeOff) }); }
});
element.addEventListener('close', ({ target }) => { if (target.dataset.image === opened) closed(); }, true);
element.addEventListener('input', (event) => { draft = event.target.value; });
element.addEventListener('submit', (event) => {
  event.preventDefault();
  close(event.target);
  trigger('note', { image_id: Number(event.target.dataset.note), text: event.target.elements.note.value });
});
// Left and right through the sightings, as through any list.
element.addEventListener('keydown', (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const here = event.target.closest('button[data-open]');
  if (!step || !here) return;
  const all = [...element.querySelectorAll('button[data-open]')];
  const next = all[all.indexOf(here) + step];
  if (next) { event.preventDefault(); next.focus(); }
});
const changed = () => {
  const again = opened && dialog(opened);
  if (again && !again.open) {
    again.showModal();
    if (draft !== null) again.querySelector('textarea').value = draft;
    return;
  }
  const all = [...element.querySelectorAll('button[data-open]')];
  if (last && document.activeElement === document.body) {
    (all.find((one) => one.dataset.open === last) || all[0] || document.querySelector('#message textarea'))?.focus({ preventScroll: true });
    last = '';
  }
};
new MutationObserver(changed).observe(element, { childList: true, subtree: true });
