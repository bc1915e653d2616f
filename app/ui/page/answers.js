element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-answer]');
  if (!button) return;
  trigger('answer', { text: button.dataset.answer });
  // The buttons go with the question: a keyboard goes on in the message; a finger wants no keyboard to come up.
  if (event.detail === 0) document.querySelector('#message textarea')?.focus();
});
