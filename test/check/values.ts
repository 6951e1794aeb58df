/** Whether values are what their types in TypeScript say. */

const fits = (type: string, value: unknown): boolean => {
  if (type === "unknown") return true
  const alternatives = splitUnion(type)
  return alternatives.some((one) =>
    one === "null"
      ? value === null
      : one === "Date"
      ? value instanceof Date
      : one === "Buffer"
      ? Buffer.isBuffer(value)
      : one.startsWith("ReadonlyArray<")
      ? Array.isArray(value) && value.every((item) => fits(one.slice("ReadonlyArray<".length, -1), item))
      : one.startsWith("{")
      ? typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date)
      : typeof value === one
  )
}

/** The members of a union, of which some hold unions themselves. */
const splitUnion = (type: string): ReadonlyArray<string> => {
  const parts = [""]
  let depth = 0
  for (const char of type) {
    if ("<{".includes(char)) depth++
    if (">}".includes(char)) depth--
    if (char === "|" && depth === 0) parts.push("")
    else parts[parts.length - 1] += char
  }
  return parts.map((part) => part.trim())
}

/** The columns whose value is not of their type, with the kind of value that it is. */
export const kindsOfValues = (
  types: Readonly<Record<string, string>>,
  row: Readonly<Record<string, unknown>>
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(row).filter(([name, value]) => !fits(types[name] ?? "missing", value)).map(([name, value]) => [
      name,
      `${types[name]}: ${Object.prototype.toString.call(value)}`
    ])
  )
