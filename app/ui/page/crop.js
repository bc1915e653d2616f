// A box over a photo: drag to move, drag its corner to resize, arrow keys move, Shift and arrow keys resize.
// All sides are fractions of the picture, 0..1.
const SMALLEST = 0.03;
const read = (box) => box.dataset.box.split(',').map(Number);
const write = (box, [left, top, right, bottom]) => {
  box.dataset.box = [left, top, right, bottom].map((side) => side.toFixed(4)).join(',');
  box.style.left = `${left * 100}%`;
  box.style.top = `${top * 100}%`;
  box.style.width = `${(right - left) * 100}%`;
  box.style.height = `${(bottom - top) * 100}%`;
};
const moved = ([left, top, right, bottom], dx, dy) => {
  dx = Math.max(-left, Math.min(1 - right, dx));
  dy = Math.max(-top, Math.min(1 - bottom, dy));
  return [left + dx, top + dy, right + dx, bottom + dy];
};
const resized = ([left, top, right, bottom], dx, dy) => [
  left, top,
  Math.max(left + SMALLEST, Math.min(1, right + dx)),
  Math.max(top + SMALLEST, Math.min(1, bottom + dy)),
];

let drag = null;
element.addEventListener('pointerdown', (event) => {
  const box = event.target.closest('.cr-crop-box');
  if (!box) return;
  event.preventDefault();
  box.focus();
  drag = { box, change: event.target.tagName === 'I' ? resized : moved, x: event.clientX, y: event.clientY, start: read(box) };
  element.setPointerCapture(event.pointerId);
});
element.addEventListener('pointermove', (event) => {
  if (!drag) return;
  const frame = drag.box.parentElement.getBoundingClientRect();
  const dx = (event.clientX - drag.x) / frame.width;
  const dy = (event.clientY - drag.y) / frame.height;
  write(drag.box, drag.change(drag.start, dx, dy));
});
element.addEventListener('pointerup', () => { drag = null; });
element.addEventListener('pointercancel', () => { drag = null; });
element.addEventListener('keydown', (event) => {
  const box = event.target.closest('.cr-crop-box');
  const step = { ArrowLeft: [-0.01, 0], ArrowRight: [0.01, 0], ArrowUp: [0, -0.01], ArrowDown: [0, 0.01] }[event.key];
  if (!box || !step) return;
  event.preventDefault();
  write(box, (event.shiftKey ? resized : moved)(read(box), ...step));
});
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-crop]');
  if (!button) return;
  const box = element.querySelector('.cr-crop-box');
  trigger('crop', { choice: button.dataset.crop, box: box ? read(box) : [0, 0, 1, 1] });
});
