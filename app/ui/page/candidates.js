// One listener for the whole grid: its content is replaced after each search.
let last = { id: '', time: 0 }; // a click draws the grid anew, so that no "dblclick" comes of two
element.addEventListener('click', (event) => {
  const card = event.target.closest('button[data-id]');
  const isSecond = card && event.detail > 0 && card.dataset.id === last.id && event.timeStamp - last.time < 400;
  if (card) last = { id: isSecond ? '' : card.dataset.id, time: event.timeStamp };
  if (isSecond) card.parentElement.querySelector('[data-zoom]')?.click();
  else if (card) {
    trigger('choose', { image_id: Number(card.dataset.id) });
    // Where the panes are stacked, what was chosen would stand out of sight.
    const panel = document.querySelector('#pane-selected');
    if (panel && window.innerWidth < 1000) setTimeout(() => panel.scrollIntoView({ block: 'start' }), 300);
  }
  if (event.target.closest('button[data-more]')) trigger('more', {});
  const order = event.target.closest('button[data-order]');
  if (order) trigger('order', { order: order.dataset.order });
});
