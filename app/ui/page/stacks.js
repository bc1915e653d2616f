// Stacks of one person's candidates: which are open is remembered over steps, by the candidate on top.
const opened = new Set(), shut = new Set();
const showStacks = () => {
  const grid = element.querySelector('.cr-grid');
  if (!grid || grid.dataset.stacks) return; // only what the server has drawn anew is bare
  grid.dataset.stacks = 'shown';
  grid.querySelectorAll('[data-stack]').forEach((button) => {
    const { stack, must } = button.dataset;
    const isOpen = !shut.has(stack) && (opened.has(stack) || Boolean(must)); // what is selected is not hidden
    button.setAttribute('aria-expanded', String(isOpen));
    button.closest('li').classList.toggle('is-open', isOpen);
    grid.querySelectorAll(`[data-below="${stack}"]`).forEach((below) => below.classList.toggle('is-open', isOpen));
  });
};
element.addEventListener('click', ({ target }) => {
  const stack = target.closest('button[data-stack]');
  if (stack) {
    const isOpen = stack.getAttribute('aria-expanded') === 'true', id = stack.dataset.stack;
    (isOpen ? opened : shut).delete(id);
    (isOpen ? shut : opened).add(id);
    delete element.querySelector('.cr-grid').dataset.stacks;
    showStacks();
  }
  const group = target.closest('button[data-group]');
  if (group) trigger('group', { by_person: group.getAttribute('aria-pressed') !== 'true' });
  if (target.closest('button[data-id]')) shut.clear();
});
new MutationObserver(showStacks).observe(element, { childList: true, subtree: true, attributes: true });
showStacks();
