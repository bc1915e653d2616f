// One listener for the whole grid: its content is replaced after each search.
element.addEventListener('click', (event) => {
  const card = event.target.closest('button[data-id]');
  if (card) {
    trigger('choose', { image_id: Number(card.dataset.id) });
    // Where the panes are stacked, what was chosen would stand out of sight.
    const panel = document.querySelector('#pane-selected');
    if (panel && window.innerWidth < 1000) setTimeout(() => panel.scrollIntoView({ block: 'start' }), 300);
  }
  if (event.target.closest('button[data-more]')) trigger('more', {});
  const order = event.target.closest('button[data-order]');
  if (order) trigger('order', { order: order.dataset.order });
});
