// Names for what Gradio leaves unnamed, so that a screen reader can say them.
() => {
  const name = (selector, label) => {
    const element = document.querySelector(selector);
    if (element && element.getAttribute('aria-label') !== label) element.setAttribute('aria-label', label);
  };
  const nameAll = () => {
    name('#message textarea', 'Describe the person, or say what to change');
    name('#message [data-testid="upload-button"]', 'Add a photo');
    name('#message [data-testid="submit-button"]', 'Send');
    name('#chatbot [role="log"]', 'Conversation');
  };
  nameAll();
  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; nameAll(); });
  }).observe(document.body, { childList: true, subtree: true });
  document.documentElement.lang = 'en';
}
