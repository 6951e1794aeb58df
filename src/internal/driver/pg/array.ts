/**
 * PostgreSQL's array literals.
 */

/**
 * Reads an array literal, of any depth. A literal with lower bounds (`[0:1]={a,b}`) loses them. `delimiter`: `;` for boxes.
 */
export const parse = <A>(text: string, element: (text: string) => A, delimiter = ","): Array<unknown> => {
  const between = delimiter.charCodeAt(0)
  let at = text.charCodeAt(0) === 91 ? text.indexOf("=") + 1 : 0
  const level = (): Array<unknown> => {
    const items: Array<unknown> = []
    at++
    while (at < text.length) {
      const code = text.charCodeAt(at)
      if (code === 125) {
        at++
        break
      }
      if (code === between) {
        at++
      } else if (code === 123) {
        items.push(level())
      } else if (code === 34) {
        items.push(element(quoted()))
      } else {
        const from = at
        while (at < text.length && text.charCodeAt(at) !== between && text.charCodeAt(at) !== 125) at++
        const bare = text.slice(from, at)
        items.push(bare === "NULL" ? null : element(bare))
      }
    }
    return items
  }
  const quoted = (): string => {
    let value = ""
    let from = ++at
    while (at < text.length) {
      const code = text.charCodeAt(at)
      if (code === 92) {
        value += text.slice(from, at)
        from = at + 1
        at += 2
      } else if (code === 34) {
        break
      } else {
        at++
      }
    }
    value += text.slice(from, at)
    at++
    return value
  }
  return level()
}

/** Writes an array literal. `element` gives an element's text, or `null`. */
export const format = (
  items: ReadonlyArray<unknown>,
  element: (item: unknown) => string | null,
  delimiter = ","
): string => {
  let literal = "{"
  for (let i = 0; i < items.length; i++) {
    if (i > 0) literal += delimiter
    const item = items[i]
    if (Array.isArray(item)) {
      literal += format(item, element, delimiter)
    } else {
      const text = element(item)
      literal += text === null ? "NULL" : `"${text.replace(/[\\"]/g, "\\$&")}"`
    }
  }
  return `${literal}}`
}
