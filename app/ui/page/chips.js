element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-key]');
  if (button) trigger('remove', { key: button.dataset.key });
});
