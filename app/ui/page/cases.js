// The address names the case: a reload, Back or a bookmark finds it again.
let isFirst = true;
const shown = () => element.querySelector('[data-case]')?.dataset.case;
const nameAddress = () => {
  const own = shown();
  if (own === undefined) return;
  const url = new URL(window.location.href);
  const named = url.searchParams.get('case') || '';
  if (own !== named) {
    if (own) url.searchParams.set('case', own); else url.searchParams.delete('case');
    // What was never kept is nothing to go back to.
    if (named && !isFirst) history.pushState(null, '', url); else history.replaceState(null, '', url);
  }
  isFirst = false;
};
new MutationObserver(nameAddress).observe(element, { childList: true, subtree: true, attributes: true });
nameAddress();
window.addEventListener('popstate', () => {
  const named = new URL(window.location.href).searchParams.get('case') || '';
  if (named !== (shown() ?? '')) window.location.reload();
});
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-close]');
  if (button) trigger('close', { closed: button.dataset.close === '1' });
});
element.addEventListener('submit', (event) => {
  event.preventDefault();
  trigger('rename', { title: event.target.elements.title.value });
});
element.addEventListener('keydown', (event) => {
  const open = element.querySelector('details[open]');
  if (event.key !== 'Escape' || !open) return;
  open.removeAttribute('open');
  open.querySelector('summary').focus();
});
document.addEventListener('click', (event) => {
  if (!element.contains(event.target)) element.querySelector('details[open]')?.removeAttribute('open');
});
