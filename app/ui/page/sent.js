// What is being typed outlives a reload, for each case; so does what was sent and is not answered. Kept in this tab
// alone (sessionStorage), and gone with it.
const box = () => document.querySelector('#message textarea');
const named = () => new URL(window.location.href).searchParams.get('case') || '';
const kept = {
  get: (key) => { try { return sessionStorage.getItem(`chatreid ${key}`); } catch { return null; } },
  set: (key, text) => {
    try {
      if (text) sessionStorage.setItem(`chatreid ${key}`, text); else sessionStorage.removeItem(`chatreid ${key}`);
    } catch { /* a browser that keeps nothing */ }
  },
};
const type = (text) => {
  box().value = text;
  box().dispatchEvent(new Event('input', { bubbles: true }));
};
let own = named();
let isRestored = false;
const keepDraft = () => {
  if (!isRestored || !box()) return;
  if (own !== named()) kept.set(`draft ${own}`, '');
  own = named();
  kept.set(`draft ${own}`, box().value);
};

// The message field may come after this script.
const restore = () => {
  if (!box()) { requestAnimationFrame(restore); return; }
  const draft = kept.get(`draft ${own}`);
  if (draft) type(draft.includes(box().value) ? draft : `${box().value}\n${draft}`);
  isRestored = true;
  if (document.activeElement === document.body && window.matchMedia('(pointer: fine)').matches) box().focus();
};
restore();
document.addEventListener('input', (event) => { if (event.target === box()) keepDraft(); });

let isAsked = false;
const askReason = (asks) => {
  const field = document.querySelector('#reason input, #reason textarea');
  if (!field || asks === isAsked) return;
  isAsked = asks;
  field.toggleAttribute('required', asks);
  field.setAttribute('aria-invalid', asks ? 'true' : 'false');
  if (asks) field.focus(); else if (document.activeElement === field) box()?.focus();
};

let given = '';
new MutationObserver(() => {
  const back = element.querySelector('.cr-sent')?.dataset.back || '';
  // What was given back may stand there already, as a draft that was kept.
  if (back && back !== given && box() && !box().value.includes(back)) type(box().value ? `${back}\n${box().value}` : back);
  given = back;
  askReason(element.querySelector('.cr-sent')?.dataset.asks === 'reason');
  keepDraft();
}).observe(element, { childList: true, subtree: true, attributes: true });

// Only while the page goes, so that a copy of the tab does not take over what this one waits for.
window.addEventListener('pagehide', () => {
  keepDraft();
  const { tab, busy, waiting } = element.querySelector('.cr-sent')?.dataset ?? {};
  kept.set(`left ${named()}`, busy ? JSON.stringify({ tab, waiting: JSON.parse(waiting) }) : '');
});
window.addEventListener('pageshow', (event) => { if (event.persisted) kept.set(`left ${named()}`, ''); });
const left = kept.get(`left ${own}`);
kept.set(`left ${own}`, '');
if (left) setTimeout(() => trigger('back', JSON.parse(left)), 0);
