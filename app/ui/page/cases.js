// The address names the case: a reload, Back or a bookmark finds it again.
let isFirst = true;
const shown = () => element.querySelector('[data-case]')?.dataset.case;
const nameAddress = () => {
  const own = shown();
  if (own === undefined) return;
  const url = new URL(window.location.href);
  const named = url.searchParams.get('case') || '';
  // A case that ended, as one that is shared no longer, leaves its reason to no other.
  const reason = document.querySelector('#reason input, #reason textarea');
  if (named && !own && reason?.value && document.activeElement !== reason) {
    reason.value = '';
    reason.dispatchEvent(new Event('input', { bubbles: true }));
  }
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
// The zip comes as a file to be saved; what is wrong is said beside the button.
const exportCase = async (button) => {
  const status = button.parentElement.querySelector('[role=status]');
  button.disabled = true;
  status.textContent = 'Preparing the report…';
  try {
    const answer = await fetch(`cases/${button.dataset.export}/export`, { method: 'POST' });
    if (!answer.ok) throw new Error(await answer.text());
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await answer.blob());
    link.download = `case-${button.dataset.export}.zip`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    status.textContent = 'The report is saved.';
  } catch (problem) {
    status.textContent = problem.message || 'The app cannot be reached.';
  }
  button.disabled = false;
  button.focus();
};
element.addEventListener('click', (event) => {
  const exported = event.target.closest('button[data-export]');
  if (exported) exportCase(exported);
  const button = event.target.closest('button[data-close]');
  if (button) trigger('close', { closed: button.dataset.close === '1' });
  const shared = event.target.closest('button[data-unshare]');
  if (shared) trigger('unshare', { user: shared.dataset.unshare });
});
element.addEventListener('submit', (event) => {
  event.preventDefault();
  const { title, user } = event.target.elements;
  if (event.target.dataset.share) trigger('share_with', { user: user.value });
  else trigger('rename', { title: title.value });
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
