// A photo may be dropped or pasted anywhere on the desk: it goes into the message, as one that is chosen there.
const overlay = element.querySelector('.cr-drop');
const note = element.querySelector('.cr-drop-note');
const input = () => document.querySelector('#message input[type="file"]');
const onDesk = () => document.querySelector('#desk')?.checkVisibility();
let isOwn = false; // a picture of the page itself is dragged
document.addEventListener('dragstart', () => { isOwn = true; }, true);
document.addEventListener('dragend', () => { isOwn = false; }, true);
const hasFiles = (event) => !isOwn && [...(event.dataTransfer?.types ?? [])].includes('Files');
const hide = () => { overlay.hidden = true; };
const isPicture = (file) => file.type.startsWith('image/');

const add = (files) => {
  const pictures = files.filter(isPicture);
  const other = files.find((file) => !isPicture(file));
  note.textContent = other ? `“${other.name}” is no picture.` : '';
  if (!pictures.length || !input()) return;
  const chosen = new DataTransfer();
  pictures.forEach((file) => chosen.items.add(file));
  input().files = chosen.files;
  input().dispatchEvent(new Event('change', { bubbles: true }));
  document.querySelector('#message')?.scrollIntoView({ block: 'nearest' });
};

// Dragging goes from element to element; it is over when nothing was heard of it for a moment.
let heard = 0;
document.addEventListener('dragover', (event) => {
  if (!hasFiles(event) || !onDesk()) return;
  event.preventDefault();
  event.stopPropagation();
  event.dataTransfer.dropEffect = 'copy';
  overlay.hidden = false;
  clearTimeout(heard);
  heard = setTimeout(hide, 400);
}, true);
for (const kind of ['dragenter', 'dragleave']) {
  document.addEventListener(kind, (event) => { if (hasFiles(event) && onDesk()) event.stopPropagation(); }, true);
}
document.addEventListener('drop', (event) => {
  if (!hasFiles(event) || !onDesk()) return;
  event.preventDefault();
  event.stopPropagation();
  hide();
  add([...event.dataTransfer.files]);
}, true);
document.addEventListener('paste', (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length || !onDesk() || event.clipboardData.types.includes('text/plain')) return; // a table is pasted as words
  event.preventDefault();
  event.stopPropagation();
  add(files);
}, true);

// However it came: a photo of a whole scene opens the cropper.
let count = 0;
const look = () => {
  const now = document.querySelectorAll('#message .thumbnail-wrapper').length;
  if (now === count) return;
  count = now;
  if (now) note.textContent = '';
  trigger('attached', {});
};
const follow = () => {
  const message = document.querySelector('#message');
  if (!message) { requestAnimationFrame(follow); return; }
  new MutationObserver(look).observe(message, { childList: true, subtree: true });
};
follow();
