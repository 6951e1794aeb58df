/**
 * Options that are not known. The types refuse them; plain JavaScript and casts do not.
 */
import type { Tell } from "./faults.js"
import { shown } from "./faults.js"
import { nearest } from "./nearest.js"
import type { Row, Table } from "./row.js"
import { isRow, rowsOf } from "./row.js"
import { settings } from "./settings.js"

const plain = (name: string): string => name.toLowerCase().replaceAll("_", "")

/** Which words mean which option for a reader of a group: its own names first, then variables, then the names in other groups. */
const meanings = (group: Table): ReadonlyMap<string, string> => {
  const bySuffix = (rows: ReadonlyArray<Row<unknown>>) =>
    rows.flatMap(({ option, suffixes }) => suffixes.map((suffix) => [suffix, option] as const))
  const byKey = (rows: ReadonlyArray<Row<unknown>>) =>
    rows.map(({ option }) => [option.slice(option.lastIndexOf(".") + 1), option] as const)
  const own = Object.values(group).filter(isRow)
  const all = rowsOf(settings)
  return new Map(
    [...byKey(own), ...bySuffix(own), ...bySuffix(all), ...byKey(all)].reverse().map(([word, option]) => [
      plain(word),
      option
    ])
  )
}

/** Tells of a name that stands among the options of `where` and is none. `accepted`: those that there are. */
export const tellUnknown = (
  where: string,
  name: string,
  meant: string | undefined,
  accepted: Iterable<string>,
  tell: Tell
): void => {
  const path = where === "" ? "" : `${where}.`
  tell(
    /^[\w$-]{1,60}$/.test(name) ? path + name : `${path}(a name of ${name.length} characters)`,
    `is no option of ${where === "" ? "a database" : where}` + (meant === undefined ? "" : ` (is ${meant} meant?)`) +
      `; accepted: ${[...accepted].join(", ")}`
  )
}

const isGroup = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Tells of each option that is not known, also of those in groups. */
export const checkKnown = (options: object, tell: Tell, table: Table = settings, where = ""): void => {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    const entry = Object.hasOwn(table, name) ? table[name] : undefined
    const path = where === "" ? name : `${where}.${name}`
    if (entry === undefined) {
      const known = meanings(table)
      const word = plain(name)
      const near = nearest(word, Object.keys(table).map(plain)) ?? nearest(word, known.keys())
      tellUnknown(where, name, known.get(word) ?? known.get(near ?? ""), Object.keys(table), tell)
    } else if (!isRow(entry)) {
      if (isGroup(value)) {
        checkKnown(value, tell, entry, path)
      } else if (value !== false || path !== "pool.shedding") {
        tell(path, `holds ${shown(value)}; accepted: an object with ${Object.keys(entry).join(", ")}`)
      }
    }
  }
}
