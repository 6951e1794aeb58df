/**
 * `:name` parameters: found in the text of a statement and replaced by the placeholders of its dialect.
 *
 * A name begins with a letter or `_`. The colon counts only where it can begin one: not in strings, quoted identifiers,
 * dollar quotes and comments; not beside another colon (casts); and not right behind a letter, a digit, `_`, `$`, `)`,
 * `]` or a quote, so that slices such as `a[i:j]` stay as they are. In a slice a parameter is written behind a space or
 * the bracket: `a[:i : :j]`.
 */
import type { Dialect } from "@effect/sql/Statement"
import * as Either from "effect/Either"
import { isWordPart, Lexer } from "./Lexer.js"
import { expand, followsIn, hasLists, listPlace } from "./lists.js"
import type { ListPlace, Parsed } from "./parsedStatement.js"
import { syntaxes } from "./Syntax.js"

const nameAt = /[\p{L}_][\p{L}\p{N}_]*/uy
const wordBefore = /[\p{L}\p{N}_$]$/u

const isWordAt = (text: string, index: number): boolean =>
  // Two code units, because a letter may be a surrogate pair.
  index >= 0 && wordBefore.test(text.slice(Math.max(0, index - 1), index + 1))

const matchAt = (pattern: RegExp, text: string, index: number): string | undefined => {
  pattern.lastIndex = index
  return pattern.exec(text)?.[0]
}

const closers = new Set([":", ")", "]", "'", "\"", "`"])

const parameterAt = (text: string, i: number): string | undefined =>
  text[i] !== ":" || closers.has(text[i - 1] ?? "") || isWordAt(text, i - 1) ? undefined : matchAt(nameAt, text, i + 1)

const ownPlaceholders: Readonly<Record<Dialect, RegExp>> = {
  pg: /\$\d+/y,
  mssql: /@\d+/y,
  sqlite: /\?\d*/y,
  mysql: /\?/y,
  clickhouse: /(?!)/y
}

/** Whether a name is an element of its own in a list, comments aside. */
const standsAlone = (before: string, text: string, end: number, dialect: Dialect): boolean => {
  if (!/[(,]\s*$/.test(before)) {
    return false
  }
  const lexer = new Lexer(syntaxes[dialect], text)
  lexer.at = end
  return lexer.nextCode() && (lexer.token === ")" || lexer.token === ",")
}

/** Finds the parameters of one text. */
class Parser {
  readonly texts: Array<string> = []
  readonly names: Array<string> = []
  readonly lists: Array<ListPlace | undefined> = []
  /** Those that follow IN without parentheses. */
  readonly bare: Array<string> = []
  placeholder: string | undefined
  /**
   * For each parenthesis that is open whether it is the list of an IN, whether it still is with comments left out, and whether it
   * stands directly in such a list.
   */
  private readonly open: Array<readonly [plain: boolean, list: boolean, nested: boolean]> = []
  /** The text up to here without its comments. */
  private code = ""
  private from = 0

  constructor(private readonly text: string, private readonly dialect: Dialect) {
    const lexer = new Lexer(syntaxes[dialect], text)
    while (lexer.next()) {
      this.token(lexer)
    }
    this.texts.push(text.slice(this.from))
  }

  private token(lexer: Lexer): void {
    const { start } = lexer
    switch (lexer.kind) {
      case "comment":
        this.code += " "
        return
      case "parameter":
      case "word":
        this.own(start)
        break
      case "sign": {
        const name = parameterAt(this.text, start)
        if (name !== undefined) {
          lexer.at = this.named(name, start)
          return
        }
        this.sign(start)
        break
      }
    }
    this.code += lexer.token
  }

  private sign(at: number): void {
    const { code, open, text } = this
    if (text[at] === "(") open.push([followsIn(text, at), followsIn(code, code.length), open.at(-1)?.[1] ?? false])
    else if (text[at] === ")") open.pop()
    else this.own(at)
  }

  /** A placeholder of the dialect's own. */
  private own(at: number): void {
    if (this.placeholder === undefined && !isWordAt(this.text, at - 1)) {
      this.placeholder = matchAt(ownPlaceholders[this.dialect], this.text, at)
    }
  }

  /** A parameter: gives its end, behind which no word begins. */
  private named(name: string, start: number): number {
    const { code, dialect, text } = this
    const end = start + 1 + name.length
    const [isPlain, isList, isNested] = this.open.at(-1) ?? [false, false, false]
    this.texts.push(text.slice(this.from, start))
    this.names.push(name)
    // On PostgreSQL an array in a second pair of parentheses is an array.
    const isSole = isNested && dialect !== "pg" && /\(\s*$/.test(code) && /^\s*\)/.test(text.slice(end))
    if (isSole || followsIn(code, code.length)) this.bare.push(name)
    this.lists.push(
      (isPlain ? listPlace(text, start, end) : undefined) ??
        (isList && standsAlone(code, text, end, dialect) ? { sole: false } : undefined)
    )
    this.from = end
    let at = end
    while (isWordPart(text.charCodeAt(at))) at++
    this.code += text.slice(start, at)
    return at
  }
}

const parseText = (text: string, dialect: Dialect): Parsed => {
  const { bare, lists, names, placeholder, texts } = new Parser(text, dialect)
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

/** `a[:n]` without values is PostgreSQL's slice up to the column n. */
const isSlice = ({ texts }: Parsed, index: number, dialect: Dialect): boolean => {
  const before = texts.slice(0, index + 1).join("")
  return dialect === "pg" && before.lastIndexOf("[") > before.lastIndexOf("]")
}

const isPositional = (
  params: Readonly<Record<string, unknown>> | ReadonlyArray<unknown>
): params is ReadonlyArray<unknown> => Array.isArray(params)
