/**
 * `:name` parameters: found in the text of a statement and replaced by the placeholders of its dialect.
 *
 * A name begins with a letter or `_`. The colon counts only where it can begin one: not in strings, quoted identifiers,
 * dollar quotes and comments; not beside another colon (casts); and not right behind a letter, a digit, `_`, `$`, `)`,
 * `]` or a quote, so that slices such as `a[i:j]` stay as they are. In a slice a parameter is written behind a space or
 * the bracket: `a[:i : :j]`.
 *
 * @since 0.1.0
 */
import type { Dialect } from "@effect/sql/Statement"
import * as Either from "effect/Either"
import { expand, followsIn, hasLists, listPlace } from "./Lists.js"
import type { ListPlace, Parsed } from "./ParsedStatement.js"

const nameAt = /[\p{L}_][\p{L}\p{N}_]*/uy
const dollarTagAt = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy
const wordBefore = /[\p{L}\p{N}_$]$/u

const isWordAt = (text: string, index: number): boolean =>
  // Two code units, because a letter may be a surrogate pair.
  index >= 0 && wordBefore.test(text.slice(Math.max(0, index - 1), index + 1))

const matchAt = (pattern: RegExp, text: string, index: number): string | undefined => {
  pattern.lastIndex = index
  return pattern.exec(text)?.[0]
}

const endOf = (text: string, found: number, length: number): number => found < 0 ? text.length : found + length

/** The index behind a quoted part that begins at `start`. A doubled `close` stands for itself. */
const skipQuoted = (text: string, start: number, close: string, doubled: boolean, backslash: boolean): number => {
  for (let i = start + 1; i < text.length; i++) {
    const char = text[i]
    if (char === "\\" && backslash) {
      i++
    } else if (char === close) {
      if (!doubled || text[i + 1] !== close) {
        return i + 1
      }
      i++
    }
  }
  return text.length
}

const commentMark = /\/\*|\*\//g

const skipComment = (text: string, start: number, nests: boolean): number => {
  if (!nests) {
    return endOf(text, text.indexOf("*/", start + 2), 2)
  }
  let depth = 1
  commentMark.lastIndex = start + 2
  for (let mark = commentMark.exec(text); mark !== null; mark = commentMark.exec(text)) {
    depth += mark[0] === "/*" ? 1 : -1
    if (depth === 0) {
      return commentMark.lastIndex
    }
  }
  return text.length
}

const skipLine = (text: string, start: number): number => endOf(text, text.indexOf("\n", start), 1)

/** Where the next part that is not a parameter ends, if one begins at `i`: a string, an identifier, a comment. */
const skip = (text: string, i: number, dialect: Dialect): number | undefined => {
  switch (text[i]) {
    case "'":
      return skipQuoted(text, i, "'", true, dialect === "mysql" || (dialect === "pg" && isEscapeString(text, i)))
    case "\"":
      return skipQuoted(text, i, "\"", true, dialect === "mysql")
    case "`":
      return dialect === "mysql" || dialect === "sqlite" ? skipQuoted(text, i, "`", true, false) : undefined
    case "[":
      // SQLite knows no way to write ] in brackets.
      return dialect === "mssql" || dialect === "sqlite"
        ? skipQuoted(text, i, "]", dialect === "mssql", false)
        : undefined
    case "-":
      // MySQL takes 5--3 for 5 - -3.
      return text[i + 1] === "-" && (dialect !== "mysql" || i + 2 >= text.length || text[i + 2]! <= " ")
        ? skipLine(text, i)
        : undefined
    case "#":
      return dialect === "mysql" ? skipLine(text, i) : undefined
    case "/":
      return text[i + 1] === "*" ? skipComment(text, i, dialect === "pg" || dialect === "mssql") : undefined
    case "$": {
      const tag = dialect === "pg" && !isWordAt(text, i - 1) ? matchAt(dollarTagAt, text, i) : undefined
      return tag === undefined ? undefined : endOf(text, text.indexOf(tag, i + tag.length), tag.length)
    }
    default:
      return undefined
  }
}

/** `E'...'`, where the E is a word of its own. */
const isEscapeString = (text: string, quote: number): boolean =>
  (text[quote - 1] === "e" || text[quote - 1] === "E") && !isWordAt(text, quote - 2)

const closers = new Set([":", ")", "]", "'", "\"", "`"])

const parameterAt = (text: string, i: number): string | undefined =>
  text[i] !== ":" || closers.has(text[i - 1] ?? "") || isWordAt(text, i - 1) ? undefined : matchAt(nameAt, text, i + 1)

/** The text with its strings, quoted identifiers and comments blanked: what is left is code. */
export const codeOf = (text: string, dialect: Dialect): string => {
  let code = ""
  for (let i = 0; i < text.length;) {
    const behind = skip(text, i, dialect)
    if (behind === undefined) {
      code += text[i]
      i++
    } else {
      code += " "
      i = behind
    }
  }
  return code
}

const ownPlaceholders: Readonly<Record<Dialect, RegExp>> = {
  pg: /\$\d+/y,
  mssql: /@\d+/y,
  sqlite: /\?\d*/y,
  mysql: /\?/y,
  clickhouse: /(?!)/y
}

const isComment = (text: string, i: number): boolean => text[i] === "-" || text[i] === "#" || text[i] === "/"

/** Whether a name is an element of its own in a list, comments aside. */
const standsAlone = (before: string, text: string, end: number, dialect: Dialect): boolean => {
  let at = end
  while (at < text.length) {
    const behind = isComment(text, at) ? skip(text, at, dialect) : undefined
    if (behind === undefined && text[at]! > " ") break
    at = behind ?? at + 1
  }
  return /[(,]\s*$/.test(before) && (text[at] === ")" || text[at] === ",")
}

const parseText = (text: string, dialect: Dialect): Parsed => {
  const own = ownPlaceholders[dialect]
  const texts: Array<string> = []
  const names: Array<string> = []
  const lists: Array<ListPlace | undefined> = []
  /** Those that follow IN without parentheses. */
  const bare: Array<string> = []
  /**
   * For each parenthesis that is open whether it is the list of an IN, whether it still is with comments left out, and whether it
   * stands directly in such a list.
   */
  const open: Array<readonly [plain: boolean, list: boolean, nested: boolean]> = []
  /** The text up to here without its comments. */
  let code = ""
  let placeholder: string | undefined
  let from = 0
  let i = 0
  while (i < text.length) {
    const behind = skip(text, i, dialect)
    if (behind !== undefined) {
      code += isComment(text, i) ? " " : text.slice(i, behind)
      i = behind
      continue
    }
    const name = parameterAt(text, i)
    if (name === undefined) {
      if (text[i] === "(") open.push([followsIn(text, i), followsIn(code, code.length), open.at(-1)?.[1] ?? false])
      else if (text[i] === ")") open.pop()
      const found = placeholder === undefined ? matchAt(own, text, i) : undefined
      if (found !== undefined && !isWordAt(text, i - 1)) {
        placeholder = found
      }
      code += text[i]
      i++
    } else {
      const end = i + 1 + name.length
      const [plain, list, nested] = open.at(-1) ?? [false, false, false]
      texts.push(text.slice(from, i))
      names.push(name)
      // On PostgreSQL an array in a second pair of parentheses is an array.
      const isSole = nested && dialect !== "pg" && /\(\s*$/.test(code) && /^\s*\)/.test(text.slice(end))
      if (isSole || followsIn(code, code.length)) bare.push(name)
      lists.push(
        (plain ? listPlace(text, i, end) : undefined) ??
          (list && standsAlone(code, text, end, dialect) ? { sole: false } : undefined)
      )
      code += text.slice(i, end)
      i = from = end
    }
  }
  texts.push(text.slice(from))
  return {
    texts,
    names,
    count: new Set(names).size,
    placeholder,
    lists: lists.some((place) => place !== undefined) ? lists : undefined,
    bare: bare.length > 0 ? bare : undefined,
    ...place(texts, names, dialect)
  }
}

const place = (
  texts: ReadonlyArray<string>,
  names: ReadonlyArray<string>,
  dialect: Dialect
): { readonly sql: string; readonly order: ReadonlyArray<string> } => {
  const mark = dialect === "pg" ? "$" : dialect === "mssql" ? "@" : undefined
  const order = mark === undefined ? names : [...new Set(names)]
  const numbers = new Map(order.map((name, index) => [name, index + 1]))
  const sql = texts.map((text, index) =>
    index === names.length ? text : text + (mark === undefined ? "?" : `${mark}${numbers.get(names[index]!)}`)
  ).join("")
  return { sql, order }
}

/** Texts are few and short in a program; one that makes them up as it goes must not fill the memory. */
const cacheLimit = 1000
const cachedLength = 20_000

const caches = new Map<Dialect, Map<string, Parsed>>()

/**
 * Finds the parameters of a statement. What was found is kept for the next time (1,000 texts of a dialect, of up to
 * 20,000 characters).
 *
 * @since 0.1.0
 * @category parsing
 */
export const parse = (text: string, dialect: Dialect): Parsed => {
  if (!text.includes(":")) {
    return {
      texts: [text],
      names: [],
      count: 0,
      sql: text,
      order: [],
      lists: undefined,
      bare: undefined,
      placeholder: undefined
    }
  }
  let cache = caches.get(dialect)
  if (cache === undefined) {
    caches.set(dialect, cache = new Map())
  }
  const found = cache.get(text)
  if (found !== undefined) {
    return found
  }
  const parsed = parseText(text, dialect)
  if (text.length <= cachedLength) {
    if (cache.size >= cacheLimit) {
      cache.delete(cache.keys().next().value!)
    }
    cache.set(text, parsed)
  }
  return parsed
}

const list = (names: Iterable<string>): string => [...new Set(names)].map((name) => `:${name}`).join(", ")

/**
 * The text with the dialect's placeholders, and the values in their order; or what is wrong, by the parameters' names:
 * one without a value, a value without a parameter, names mixed with the dialect's own placeholders.
 *
 * Without values a text with names is refused too, except for PostgreSQL's slices (`a[:n]`).
 *
 * An array in the list of an IN becomes the values of that list; elsewhere it is a value.
 *
 * An array of values belongs to the dialect's own placeholders: text and values are given back as they are.
 *
 * @since 0.1.0
 * @category parsing
 */
export const compile = (
  text: string,
  params: Readonly<Record<string, unknown>> | ReadonlyArray<unknown> | undefined,
  dialect: Dialect,
  mostParameters = Number.POSITIVE_INFINITY
): Either.Either<readonly [sql: string, values: ReadonlyArray<unknown>], string> => {
  if (params === undefined) {
    const parsed = parse(text, dialect)
    const names = parsed.names.filter((_, index) => !isSlice(parsed, index, dialect))
    return names.length > 0 ? Either.left(`no value is given for ${list(names)}`) : Either.right([text, []])
  }
  if (isPositional(params)) {
    return Either.right([text, params])
  }
  const parsed = parse(text, dialect)
  const problems = fits(parsed, params) ? [] : problemsOf(parsed, params)
  return problems.length > 0
    ? Either.left(problems.join("; "))
    : hasLists(parsed, params)
    ? Either.map(expand(parsed, params, dialect, mostParameters), ({ sql, values }) => [sql, values])
    : Either.right([parsed.sql, parsed.order.map((name) => params[name])])
}

/** Whether each name has a value, and each value a name: nearly always, and told without a list of what is wrong. */
const fits = (
  { bare, count, names, placeholder }: Parsed,
  params: Readonly<Record<string, unknown>>
): boolean => {
  if (bare !== undefined || (placeholder !== undefined && count > 0) || Object.keys(params).length !== count) {
    return false
  }
  for (const name of names) {
    // Only what the object itself has: a parameter may be called `constructor`.
    if (!Object.hasOwn(params, name)) return false
  }
  return true
}

const problemsOf = (
  { bare = [], names, placeholder }: Parsed,
  params: Readonly<Record<string, unknown>>
): ReadonlyArray<string> => {
  const missing = names.filter((name) => !Object.hasOwn(params, name))
  const unknown = Object.keys(params).filter((name) => !names.includes(name))
  return [
    ...missing.length > 0 ? [`no value is given for ${list(missing)}`] : [],
    ...unknown.length > 0
      ? [
        `the statement has no parameter ${list(unknown)}` +
        (names.length > 0 ? ` (it has ${list(names)})` : " (it has none)")
      ]
      : [],
    ...names.length > 0 && placeholder !== undefined
      ? [`the statement has ${placeholder} beside ${list(names)}; use one of the two ways`]
      : [],
    ...bare.filter((name) => Array.isArray(params[name])).map((name) => `write IN (:${name}) for the list :${name}`)
  ]
}

/** The names behind the values that {@link compile} gives for a record, in their order. */
export const namesOf = (
  text: string,
  params: Readonly<Record<string, unknown>>,
  dialect: Dialect,
  mostParameters = Number.POSITIVE_INFINITY
): ReadonlyArray<string> => {
  const parsed = parse(text, dialect)
  return hasLists(parsed, params)
    ? Either.match(expand(parsed, params, dialect, mostParameters), {
      onLeft: () => parsed.order,
      onRight: ({ order }) => order
    })
    : parsed.order
}

/** `a[:n]`, where nobody gave values, is PostgreSQL's slice up to the column n. */
const isSlice = ({ texts }: Parsed, index: number, dialect: Dialect): boolean => {
  const before = texts.slice(0, index + 1).join("")
  return dialect === "pg" && before.lastIndexOf("[") > before.lastIndexOf("]")
}

const isPositional = (
  params: Readonly<Record<string, unknown>> | ReadonlyArray<unknown>
): params is ReadonlyArray<unknown> => Array.isArray(params)
