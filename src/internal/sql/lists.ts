/**
 * `IN (:ids)` with an array: a list of placeholders, or what says the same on the database.
 */
import type { Dialect } from "@effect/sql/Statement"
import * as Either from "effect/Either"
import type { ListPlace, Parsed } from "./parsedStatement.js"

/** The products behind the dialects. */
export const databases: Readonly<Record<Dialect, string>> = {
  pg: "PostgreSQL",
  mssql: "SQL Server",
  mysql: "MySQL",
  sqlite: "SQLite",
  clickhouse: "ClickHouse"
}

/** What is said of a statement with more parameters than its database takes. */
export const tooMany = (count: number, most: number, dialect: Dialect): string =>
  `the statement has ${count} parameters; ${databases[dialect]} takes ${most}: send the rows or the list in parts`

const inBefore = /\bin\s*$/i
/** As long as an IN with some space is: what lies further back does not matter. */
const look = 32

/** Whether an IN ends before a place: a parenthesis there opens its list. */
export const followsIn = (text: string, place: number): boolean =>
  inBefore.test(text.slice(Math.max(0, place - look), place))

/** How a name that ends before `end` stands in a list, where it is an element of its own. */
export const listPlace = (text: string, start: number, end: number): ListPlace | undefined => {
  const before = /[(,]\s*$/.exec(text.slice(Math.max(0, start - look), start))?.[0][0]
  const after = /^\s*[),]/.exec(text.slice(end, end + look))?.[0].at(-1)
  return before === undefined || after === undefined ? undefined : { sole: before === "(" && after === ")" }
}

/** `IN` and the parenthesis behind it, at the end of a text. */
const opened = /\b(not\s+)?in\s*\(\s*$/i
const emptied = /\(\s*$/
const closing = /^\s*\)/

/**
 * `IN` with nothing in its list, which is false, and with NOT true, whatever stands on its left; `before` ends with the IN.
 * PostgreSQL gives a list that is a query the type `text`, and other types are not compared with that; so it is an array there.
 */
export const emptyList = (before: string, dialect: Dialect): string => {
  switch (dialect) {
    case "pg":
      return before.replace(
        /\b(not\s+)?in\s*$/i,
        (_, not: string | undefined) => not === undefined ? "= ANY('{}')" : "<> ALL('{}')"
      )
    case "mysql":
      return `${before}(SELECT NULL FROM DUAL WHERE FALSE)`
    case "mssql":
      // `nvarchar` is compared with nearly every type.
      return `${before}(SELECT CAST(NULL AS nvarchar(1)) WHERE 1 = 0)`
    case "sqlite":
    case "clickhouse":
      return `${before}()`
  }
}

/** Lists of different lengths share a few texts, so that a few statements are prepared: the last item is sent several times. */
const padded = (length: number): number => 2 ** Math.ceil(Math.log2(length))

const isList = (value: unknown): value is ReadonlyArray<unknown> => Array.isArray(value)

/** What is wrong with the lists. */
const fault = (
  { lists, names }: Parsed,
  params: Readonly<Record<string, unknown>>
): string | undefined => {
  for (let i = 0; i < names.length; i++) {
    const value = params[names[i]!]
    if (lists?.[i] === undefined || !isList(value)) {
      continue
    }
    if (value.length === 0 && !lists[i]!.sole) {
      return `the list :${names[i]} is empty, and stands beside other values: leave it out of the statement`
    }
    if (value.some(isList)) {
      return `the list :${names[i]} holds a list: give single values`
    }
  }
  return undefined
}

/** Gathers the text and the values of one statement. */
class Expansion {
  sql = ""
  readonly values: Array<unknown> = []
  readonly order: Array<string> = []
  /** Whether the last text has ended with the parenthesis of a list that is replaced as a whole. */
  private closes = false
  private readonly mark: string | undefined
  private readonly numbers = new Map<string, number>()

  constructor(private readonly dialect: Dialect, private readonly pads: boolean) {
    this.mark = dialect === "pg" ? "$" : dialect === "mssql" ? "@" : undefined
  }

  text(text: string): void {
    this.sql += this.closes ? text.replace(closing, "") : text
    this.closes = false
  }

  private add(name: string, value: unknown): string {
    this.values.push(value)
    this.order.push(name)
    return this.mark === undefined ? "?" : `${this.mark}${this.values.length}`
  }

  /** One value, or an array that is one: sent once where placeholders have numbers. */
  single(name: string, value: unknown): string {
    const known = this.numbers.get(name)
    if (known !== undefined) {
      return `${this.mark}${known}`
    }
    const placeholder = this.add(name, value)
    if (this.mark !== undefined) {
      this.numbers.set(name, this.values.length)
    }
    return placeholder
  }

  list(name: string, items: ReadonlyArray<unknown>, { sole: isSole }: ListPlace): void {
    if (isSole && this.dialect === "pg") {
      // One parameter, however many there are of them.
      this.sql = this.sql.replace(
        opened,
        (_, not: string | undefined) => `${not === undefined ? "= ANY" : "<> ALL"}(${this.single(name, items)})`
      )
      this.closes = true
    } else if (items.length === 0) {
      this.sql = emptyList(this.sql.replace(emptied, ""), this.dialect)
      this.closes = true
    } else {
      const length = this.pads ? padded(items.length) : items.length
      const marks: Array<string> = []
      for (let i = 0; i < length; i++) {
        marks.push(this.add(name, items[Math.min(i, items.length - 1)]))
      }
      this.sql += marks.join(",")
    }
  }
}

const run = (parsed: Parsed, params: Readonly<Record<string, unknown>>, dialect: Dialect, pads: boolean): Expansion => {
  const { lists, names, texts } = parsed
  const expansion = new Expansion(dialect, pads)
  expansion.text(texts[0]!)
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!
    const value = params[name]
    const place = lists?.[i]
    if (place !== undefined && isList(value)) {
      expansion.list(name, value, place)
    } else {
      expansion.sql += expansion.single(name, value)
    }
    expansion.text(texts[i + 1]!)
  }
  return expansion
}

/** Whether a list is among the values of a statement that has places for them. */
export const hasLists = ({ lists, names }: Parsed, params: Readonly<Record<string, unknown>>): boolean =>
  lists !== undefined && names.some((name, i) => lists[i] !== undefined && isList(params[name]))

/** The statement with its lists, and the name behind each value; or what is wrong with them. */
export const expand = (
  parsed: Parsed,
  params: Readonly<Record<string, unknown>>,
  dialect: Dialect,
  mostParameters: number
): Either.Either<
  { readonly sql: string; readonly values: ReadonlyArray<unknown>; readonly order: ReadonlyArray<string> },
  string
> => {
  const problem = fault(parsed, params)
  if (problem !== undefined) {
    return Either.left(problem)
  }
  const whole = run(parsed, params, dialect, true)
  const expanded = whole.values.length > mostParameters ? run(parsed, params, dialect, false) : whole
  const count = expanded.values.length
  return count > mostParameters ? Either.left(tooMany(count, mostParameters, dialect)) : Either.right(expanded)
}
