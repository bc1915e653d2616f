// A box over a photo: draw it anew, drag it to move, drag an edge or a corner to resize; arrow keys move, Shift and
// arrow keys resize. All sides are fractions of the photo, 0..1.
const SMALLEST = 8; // pixels of the photo; less is refused
const read = (box) => box.dataset.box.split(',').map(Number);
const least = (box) => {
  const { width, height } = box.parentElement.dataset;
  return [Math.min(1, Math.max(0.01, SMALLEST / (width || 1e4))), Math.min(1, Math.max(0.01, SMALLEST / (height || 1e4)))];
};
const write = (box, [left, top, right, bottom]) => {
  box.dataset.box = [left, top, right, bottom].map((side) => side.toFixed(4)).join(',');
  box.style.left = `${left * 100}%`;
  box.style.top = `${top * 100}%`;
  box.style.width = `${(right - left) * 100}%`;
  box.style.height = `${(bottom - top) * 100}%`;
  const [x, y, wide, high] = [left, top, right - left, bottom - top].map((side) => Math.round(side * 100));
  box.setAttribute('aria-valuenow', String(x));
  box.setAttribute('aria-valuetext', `left ${x} %, top ${y} %, width ${wide} %, height ${high} %`);
  const { width, height } = box.parentElement.dataset;
  const size = element.querySelector('output');
  if (size && width > 0) size.textContent = `${Math.round((right - left) * width)} × ${Math.round((bottom - top) * height)} pixels`;
};
const within = (from, to, value) => Math.max(from, Math.min(to, value));
const moved = ([left, top, right, bottom], dx, dy) => {
  dx = within(-left, 1 - right, dx);
  dy = within(-top, 1 - bottom, dy);
  return [left + dx, top + dy, right + dx, bottom + dy];
};
// side: which edges follow, of "n", "e", "s", "w".
const resized = ([left, top, right, bottom], dx, dy, side, [wide, high]) => [
  side.includes('w') ? within(0, right - wide, left + dx) : left,
  side.includes('n') ? within(0, bottom - high, top + dy) : top,
  side.includes('e') ? within(left + wide, 1, right + dx) : right,
  side.includes('s') ? within(top + high, 1, bottom + dy) : bottom,
];
const drawn = (fromX, fromY, toX, toY, [wide, high]) => {
  const [left, right] = [Math.min(fromX, toX), Math.max(fromX, toX)];
  const [top, bottom] = [Math.min(fromY, toY), Math.max(fromY, toY)];
  return [Math.min(left, 1 - wide), Math.min(top, 1 - high), Math.max(right, left + wide), Math.max(bottom, top + high)].map((one) => within(0, 1, one));
};

let drag = null;
const part = (event, frame) => [within(0, 1, (event.clientX - frame.left) / frame.width), within(0, 1, (event.clientY - frame.top) / frame.height)];
element.addEventListener('pointerdown', (event) => {
  const area = event.target.closest('.cr-crop');
  if (!area || event.button || drag) return;
  event.preventDefault();
  const box = area.querySelector('.cr-crop-box');
  const [x, y] = part(event, area.getBoundingClientRect());
  box.focus({ preventScroll: true });
  const how = event.target.dataset.side || (event.target.closest('.cr-crop-box') ? 'move' : 'draw');
  drag = { box, how, x, y, start: read(box), id: event.pointerId };
  element.setPointerCapture(event.pointerId);
});
element.addEventListener('pointermove', (event) => {
  if (!drag || event.pointerId !== drag.id) return;
  const { box, how, start } = drag;
  const [x, y] = part(event, box.parentElement.getBoundingClientRect());
  const [dx, dy] = [x - drag.x, y - drag.y];
  if (how === 'move') write(box, moved(start, dx, dy));
  else if (how !== 'draw') write(box, resized(start, dx, dy, how, least(box)));
  else if (Math.hypot(dx, dy) > 0.01) write(box, drawn(drag.x, drag.y, x, y, least(box))); // less is a slip of the hand
});
const drop = (event) => { if (event.pointerId === drag?.id) drag = null; };
element.addEventListener('pointerup', drop);
element.addEventListener('pointercancel', drop);
element.addEventListener('keydown', (event) => {
  const box = event.target.closest('.cr-crop-box');
  if (!box || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowLeft: [-0.01, 0], ArrowRight: [0.01, 0], ArrowUp: [0, -0.01], ArrowDown: [0, 0.01] }[event.key];
  if (step) write(box, event.shiftKey ? resized(read(box), ...step, 'se', least(box)) : moved(read(box), ...step));
  else if (event.key === 'Enter') choose('part');
  else if (event.key === 'Escape') choose('cancel');
  else return;
  event.preventDefault();
});
const choose = (choice) => {
  const box = element.querySelector('.cr-crop-box');
  if (choice === 'cancel') trigger('cancel', {}); else trigger('crop', { choice, box: box ? read(box) : [] });
  document.querySelector('#message textarea')?.focus({ preventScroll: true });
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-crop]');
  if (button) choose(button.dataset.crop);
});
// It opens where the operator may look elsewhere; who is typing goes on.
let seen = null;
const show = (box) => {
  if (!box.isConnected) return;
  if (!box.checkVisibility()) { requestAnimationFrame(() => show(box)); return; } // what is drawn is shown a moment later
  const area = element.querySelector('.cr-cropper');
  area.querySelector('img').decode().catch(() => {}).then(() => area.scrollIntoView({ block: 'nearest' })); // it has its height then
  if (!document.querySelector('#message textarea')?.value) box.focus({ preventScroll: true });
};
const look = () => {
  const box = element.querySelector('.cr-crop-box');
  if (box === seen) return;
  seen = box;
  if (!box) return;
  write(box, read(box));
  show(box);
};
new MutationObserver(look).observe(element, { childList: true, subtree: true });
look();
