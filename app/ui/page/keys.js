// Shortcuts, and the sheet that lists them. Letters count only where nothing is typed, on the desk.
const dialog = () => element.querySelector('dialog');
const click = (selector) => {
  const button = document.querySelector(selector);
  if (button && !button.disabled) button.click();
};
const steps = {
  s: '#search-with-this', y: '#confirm', n: '#reject', b: '#before', a: '#after', u: '#undo',
  m: '#candidates button[data-more]', g: '#candidates button[data-group]',
};
const cards = () => [...document.querySelectorAll('#candidates button[data-id]')].filter((card) => card.checkVisibility());
const moved = (all, from, key) => {
  const top = (card) => card.getBoundingClientRect().top;
  const columns = all.filter((card) => Math.abs(top(card) - top(all[0])) < 2).length || 1;
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  if (key === 'Home') return 0;
  if (key === 'End') return all.length - 1;
  const to = from + by;
  return to < 0 || to >= all.length ? from : to;
};
element.addEventListener('click', (event) => { if (event.target.closest('[data-keys]')) dialog().showModal(); });
document.addEventListener('keydown', (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || dialog()?.open) return;
  if (target.closest('input, textarea, select, [contenteditable="true"], .cr-crop-box, [role="tab"]')) return;
  const all = cards();
  const from = all.indexOf(target.closest('button[data-id]'));
  if (from >= 0 && (key.startsWith('Arrow') || key === 'Home' || key === 'End')) {
    event.preventDefault();
    all[moved(all, from, key)].focus();
  } else if (key === '?') {
    event.preventDefault();
    dialog().showModal();
  } else if (key === '/' || key === 'c') {
    event.preventDefault();
    (key === '/' ? document.querySelector('#message textarea') : all[0])?.focus();
  } else if (key === 'o' && from >= 0) {
    const stack = target.closest('li').dataset.below || target.dataset.id;
    click(`#candidates button[data-stack="${stack}"]`);
    cards().find((card) => card.dataset.id === stack)?.focus();
  } else if (key === 'z' && target.closest('#desk, #board')) {
    event.preventDefault();
    (target.closest('li')?.querySelector('[data-zoom]') || document.querySelector('#selected [data-zoom]'))?.click();
  } else if (steps[key] && target.closest('#desk')) {
    event.preventDefault();
    click(steps[key]);
  }
});
