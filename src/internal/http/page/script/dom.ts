/** Elements and their texts. */
export const dom = /* js */ String.raw`
/** An element with attributes; its children are elements, or texts that stay texts whatever is in them. */
function element(name, attributes, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes || {})) {
    made.setAttribute(key, value)
  }
  made.append(...children)
  return made
}

/** The same in SVG. */
function drawn(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name)
  for (const [key, value] of Object.entries(attributes || {})) {
    made.setAttribute(key, value)
  }
  made.append(...children)
  return made
}

/** Only what differs is written, so that a selection, and what a screen reader reads, stay. */
function write(target, text) {
  if (target.textContent !== text) {
    target.textContent = text
  }
}

function mark(target, key, value) {
  if (target.getAttribute(key) !== value) {
    target.setAttribute(key, value)
  }
}

/**
 * Keeps the children of a parent in step with items: an item of the same key keeps its element, and with it focus and
 * selection.
 */
function keep(parent, items, keyOf, make, update) {
  const there = new Map()
  for (const child of Array.from(parent.children)) {
    there.set(child.dataset.key, child)
  }
  let before = null
  items.forEach(function(item, index) {
    const key = keyOf(item, index)
    let child = there.get(key)
    if (child === undefined) {
      child = make(item)
      child.dataset.key = key
    }
    there.delete(key)
    update(child, item)
    const place = before === null ? parent.firstElementChild : before.nextElementSibling
    if (place !== child) {
      parent.insertBefore(child, place)
    }
    before = child
  })
  for (const child of there.values()) {
    child.remove()
  }
}
`
