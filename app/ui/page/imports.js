// An import is undone in two steps: what goes with it is said first.
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  const { ask, undo, keep } = button.dataset;
  if (ask) trigger('ask_undo', { number: Number(ask) });
  if (keep) trigger('keep', {});
  if (undo) {
    button.disabled = true;
    trigger('undo_import', { number: Number(undo) });
  }
});
// The question takes the focus, and gives it back to the list.
let asked = false;
new MutationObserver(() => {
  const confirm = element.querySelector('button[data-undo]');
  if (confirm && !asked) element.querySelector('button[data-keep]').focus();
  else if (!confirm && asked) element.querySelector('button[data-ask]')?.focus();
  asked = Boolean(confirm);
}).observe(element, { childList: true, subtree: true });
