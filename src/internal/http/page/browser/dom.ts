/** Elements and their texts. */

type Attributes = Readonly<Record<string, string>>

const fill = <E extends Element>(made: E, attributes: Attributes, children: ReadonlyArray<Node | string>): E => {
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value)
  }
  made.append(...children)
  return made
}

/** An element with attributes; its children are elements, or texts that stay texts whatever is in them. */
export const element = <Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Node | string>
): HTMLElementTagNameMap[Name] => fill(document.createElement(name), attributes, children)

/** The same in SVG. */
export const drawn = <Name extends keyof SVGElementTagNameMap>(
  name: Name,
  attributes: Attributes,
  ...children: ReadonlyArray<Node | string>
): SVGElementTagNameMap[Name] =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children)

/** Only what differs is written, so that a selection, and what a screen reader reads, stay. */
export const write = (target: Element, text: string): void => {
  if (target.textContent !== text) {
    target.textContent = text
  }
}

export const mark = (target: Element, key: string, value: string): void => {
  if (target.getAttribute(key) !== value) {
    target.setAttribute(key, value)
  }
}

/** What is shown of an item. */
export interface View<Item> {
  readonly element: HTMLElement
  readonly update: (item: Item) => void
}

/**
 * Keeps the children of a parent in step with items: an item of the same key keeps its element, and with it focus and
 * selection.
 */
export const makeList = <Item>(
  parent: Element,
  keyOf: (item: Item, index: number) => string,
  make: (item: Item) => View<Item>
): (items: ReadonlyArray<Item>) => void => {
  let views = new Map<string, View<Item>>()
  return (items) => {
    const shown = new Map<string, View<Item>>()
    let before: Element | null = null
    items.forEach((item, index) => {
      let key = keyOf(item, index)
      while (shown.has(key)) {
        key += "'"
      }
      const view = views.get(key) ?? make(item)
      views.delete(key)
      shown.set(key, view)
      view.update(item)
      const place: Element | null = before === null ? parent.firstElementChild : before.nextElementSibling
      if (place !== view.element) {
        parent.insertBefore(view.element, place)
      }
      before = view.element
    })
    for (const view of views.values()) {
      view.element.remove()
    }
    views = shown
  }
}
