// Names for what Gradio leaves unnamed, so that a screen reader can say them; and the focus stays on the desk.
() => {
  // What has the focus may be drawn anew, or be switched off for a while: a keyboard must not start again at the top.
  let last = null;
  const cardsShown = () => [...document.querySelectorAll('#candidates button[data-id]')].filter((card) => card.checkVisibility());
  const isTyped = window.matchMedia('(pointer: fine)').matches; // a finger wants no keyboard to come up
  document.addEventListener('focusin', ({ target }) => {
    const cards = cardsShown();
    last = { id: target.dataset?.id, place: cards.indexOf(target), target };
  });
  document.addEventListener('pointerdown', ({ target }) => {
    if (!target.closest('button, a, input, textarea, summary, [tabindex]')) last = null;
  });
  const keepFocus = () => {
    if (!last || !isTyped || (document.activeElement && document.activeElement !== document.body)) return;
    const cards = cardsShown();
    const same = last.place >= 0 && (cards.find((card) => card.dataset.id === last.id) || cards[last.place] || cards[0]);
    const still = last.target.isConnected && !last.target.disabled && last.target.checkVisibility() && last.target;
    (same || still || document.querySelector('#message textarea'))?.focus({ preventScroll: true });
  };
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
    requestAnimationFrame(() => { waiting = false; nameAll(); setTimeout(keepFocus, 50); });
  }).observe(document.body, { childList: true, subtree: true, attributeFilter: ['disabled'] });
  document.documentElement.lang = 'en';
}
