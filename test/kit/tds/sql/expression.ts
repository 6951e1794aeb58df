/** Expressions and conditions: parsed once, compiled to SQLite's SQL with the types that T-SQL gives them. */
import * as Types from "../types.js"
import { type SqlType, TsqlError, typeText, unsupported } from "../types.js"
import { commonType } from "./convert.js"
import type { Cursor } from "./cursor.js"
import { parseQuery, type Query } from "./query.js"
import { coerce, type Compiled, quote, resolveColumn, type Scope } from "./scope.js"
import { sessionFunction } from "./system.js"

export interface Expression {
  readonly compile: (scope: Scope) => Compiled
  /** The name, of a bare column. */
  readonly column?: string
  /** The name without `@`, of a bare variable. */
  readonly variable?: string
}

export type Predicate = (scope: Scope) => string

/** The common type of several expressions, and each of them as it. */
export const unify = (
  all: ReadonlyArray<Compiled>
): { readonly type: SqlType; readonly sql: ReadonlyArray<string>; readonly nullable: boolean } => {
  const types = all.flatMap(({ type }) => type === undefined ? [] : [type])
  const type = types.length === 0 ? Types.int : types.reduce(commonType)
  return {
    type,
    sql: all.map((one) => coerce(one, type, "implicit").sql),
    nullable: all.some((one) => one.nullable)
  }
}

/** A query as a list of one column. */
const oneColumn = (query: Query, scope: Scope): Compiled => {
  const { columns, sql } = query(scope.context, scope)
  if (columns.length !== 1) throw new TsqlError(116, "Only one expression can be specified in the select list.")
  return { sql, type: columns[0]!.type, nullable: true }
}

const number = (text: string): Expression["compile"] => ({ context }) => {
  if (/e/i.test(text)) return context.value(Number(text), Types.float)
  const [whole = "", fraction] = text.split(".")
  if (fraction === undefined && BigInt(text) <= 2147483647n) return context.value(BigInt(text), Types.int)
  const digits = whole.replace(/^0+(?=\d)/, "") || "0"
  const scale = fraction?.length ?? 0
  return context.value(
    scale === 0 ? digits : `${digits}.${fraction}`,
    Types.decimal(Math.max(1, digits.replace(/^0/, "").length + scale), scale)
  )
}

const variable = (name: string): Expression["compile"] => ({ context }) => {
  if (name.startsWith("@")) return call(`@${name}`, []).compile({ context, sources: [] })
  const found = context.variables.get(name)
  if (found !== undefined) return { ...context.value(found.value, found.type), nullable: true }
  if (context.described !== undefined) return { sql: "NULL", type: undefined, nullable: true }
  throw new TsqlError(137, `Must declare the scalar variable "@${name}".`, 15, 2)
}

const arithmetic = (operator: string, left: Expression, right: Expression): Expression => ({
  compile: (scope) => {
    const { nullable, sql, type } = unify([left.compile(scope), right.compile(scope)])
    if (!Types.isInteger(type) && !Types.isFloat(type)) throw unsupported(`${operator} of ${typeText(type)}`)
    return { sql: `ts_math('${operator}', ${sql.join(", ")}, '${typeText(type)}')`, type, nullable }
  }
})

/** The whole of a value expression. */
export const parseExpression = (c: Cursor): Expression => {
  let left = parseTerm(c)
  while (c.isSymbol("+")) left = arithmetic(c.next().text, left, parseTerm(c))
  return left
}

const parseTerm = (c: Cursor): Expression => {
  let left = parseUnary(c)
  while (c.isSymbol("/")) left = arithmetic(c.next().text, left, parseUnary(c))
  return left
}

const parseUnary = (c: Cursor): Expression => {
  if (!c.symbol("-")) return parsePrimary(c)
  const operand = parseUnary(c)
  return {
    compile: (scope) => {
      const one = operand.compile(scope)
      return { ...one, sql: one.type?.kind === "decimal" ? `('-' || ${one.sql})` : `(-${one.sql})` }
    }
  }
}

const parsePrimary = (c: Cursor): Expression => {
  const { kind, text } = c.token
  switch (kind) {
    case "number":
      c.next()
      return { compile: number(text) }
    case "string":
    case "nstring": {
      c.next()
      const [type, max] = kind === "nstring" ? [Types.nvarchar, 4000] as const : [Types.varchar, 8000] as const
      const length = text.length > max ? -1 : Math.max(1, text.length)
      return { compile: ({ context }) => context.value(text, type(length)) }
    }
    case "binary": {
      c.next()
      const bytes = Buffer.from(text, "hex")
      return { compile: ({ context }) => context.value(bytes, Types.varbinary(Math.max(1, bytes.length))) }
    }
    case "variable": {
      c.next()
      const name = text.slice(1).toLowerCase()
      return { compile: variable(name), variable: name }
    }
    case "symbol":
      return c.inside(() => parseExpression(c))
  }
  if (c.words("NULL")) return { compile: () => ({ sql: "NULL", type: undefined, nullable: true }) }
  if (c.words("CASE")) return parseCase(c)
  if (c.isWord("CAST", "CONVERT")) return parseCast(c)
  if (c.peek().text === "(" && c.isName) return parseCall(c)
  const names = [c.name()]
  while (c.symbol(".")) names.push(c.name())
  const name = names.pop()!
  return names.length === 0
    ? { compile: (scope) => resolveColumn(scope, undefined, name), column: name }
    : { compile: (scope) => resolveColumn(scope, names[names.length - 1], name) }
}

const parseCast = (c: Cursor): Expression => {
  const converts = c.next().upper === "CONVERT"
  return c.inside(() => {
    const before = converts ? c.type(false) : undefined
    if (converts) c.expectSymbol(",")
    const operand = parseExpression(c)
    const style = converts && c.symbol(",") ? c.integer() : undefined
    if (style !== undefined && style !== 126n) throw unsupported(`CONVERT style ${style}`)
    if (!converts) c.expect("AS")
    const type = before ?? c.type(false)
    return {
      compile: (scope) => {
        const cast = coerce(operand.compile(scope), type, "cast")
        return style === undefined ? cast : { ...cast, sql: `replace(${cast.sql}, ' ', 'T')` }
      }
    }
  })
}

const parseCase = (c: Cursor): Expression => {
  const branches: Array<{ readonly condition: Predicate; readonly then: Expression }> = []
  while (c.words("WHEN")) {
    const condition = parsePredicate(c)
    c.expect("THEN")
    branches.push({ condition, then: parseExpression(c) })
  }
  const results = [...branches.map(({ then }) => then), ...(c.words("ELSE") ? [parseExpression(c)] : [])]
  c.expect("END")
  return {
    compile: (scope) => {
      const { nullable, sql, type } = unify(results.map((one) => one.compile(scope)))
      const whens = branches.map(({ condition }, i) => `WHEN ${condition(scope)} THEN ${sql[i]}`)
      const otherwise = sql[branches.length]
      return {
        sql: `CASE ${whens.join(" ")}${otherwise === undefined ? "" : ` ELSE ${otherwise}`} END`,
        type,
        nullable: nullable || otherwise === undefined
      }
    }
  }
}

const parseCall = (c: Cursor): Expression => {
  const name = c.next().upper
  return c.inside(() => call(name, c.symbol("*") || c.isSymbol(")") ? [] : c.list(() => parseExpression(c))))
}

const text = (one: Compiled | undefined): Compiled => coerce(one!, Types.nvarchar(4000), "implicit")

/** COUNT and REPLICATE; all others are a matter of the session's state. */
const call = (name: string, args: ReadonlyArray<Expression>): Expression => ({
  compile: (scope) => {
    const { context } = scope
    const compiled = args.map((arg) => arg.compile(scope))
    const [of, count] = compiled
    if (name === "COUNT") return { sql: `COUNT(${of?.sql ?? "*"})`, type: Types.int, nullable: true }
    if (name === "REPLICATE") {
      // Cut at 8000 bytes.
      const type = of!.type?.kind === "varchar" ? Types.varchar(8000) : Types.nvarchar(4000)
      const repeated = `ts_repeat(${text(of).sql}, ${coerce(count!, Types.bigint, "implicit").sql})`
      return { sql: `substr(${repeated}, 1, ${type.length})`, type, nullable: true }
    }
    const found = sessionFunction(name)
    if (found === undefined) throw new TsqlError(195, `'${name}' is not a recognized built-in function name.`, 15, 10)
    const { type, value } = found(context.session, compiled.map((one) => context.evaluate(one)))
    return context.value(value, type)
  }
})

/** The whole of a condition. */
export const parsePredicate = (c: Cursor): Predicate => {
  let left = parseAnd(c)
  while (c.words("OR")) {
    const [a, b] = [left, parseAnd(c)]
    left = (scope) => `(${a(scope)} OR ${b(scope)})`
  }
  return left
}

const parseAnd = (c: Cursor): Predicate => {
  let left = parseNot(c)
  while (c.words("AND")) {
    const [a, b] = [left, parseNot(c)]
    left = (scope) => `(${a(scope)} AND ${b(scope)})`
  }
  return left
}

const parseNot = (c: Cursor): Predicate => {
  if (!c.words("NOT")) return parseTest(c)
  const operand = parseNot(c)
  return (scope) => `(NOT ${operand(scope)})`
}

/** Whether the parenthesis that opens here holds a condition rather than a value. */
const holdsPredicate = (c: Cursor): boolean => {
  if (["SELECT", "WITH"].includes(c.peek().upper)) return false
  for (let ahead = 0, depth = 0;; ahead++) {
    const { kind, text: token, upper } = c.peek(ahead)
    if (kind === "end") return false
    if (kind === "symbol" && token === "(") depth++
    else if (kind === "symbol" && token === ")" && --depth === 0) return false
    else if (kind === "symbol" && ["=", "<", ">", "<>", "!=", "<=", ">="].includes(token)) return true
    else if (["AND", "OR", "NOT", "IS", "IN", "LIKE"].includes(upper)) return true
  }
}

/** What sorts and compares as the value does. */
export const sortKey = ({ sql, type }: Pick<Compiled, "sql" | "type">): string => {
  if (type !== undefined && (Types.isExact(type) || type.kind === "datetimeoffset")) {
    throw unsupported(`the order of ${typeText(type)}`)
  }
  return sql
}

const compare = (operator: string, a: Compiled, b: Compiled): string => {
  const { sql, type } = unify([a, b])
  return `(${sortKey({ sql: sql[0]!, type })} ${operator} ${sql[1]})`
}

const parseTest = (c: Cursor): Predicate => {
  if (c.isSymbol("(") && holdsPredicate(c)) return c.inside(() => parsePredicate(c))
  const operand = parseExpression(c)
  if (c.words("IS")) {
    const test = c.words("NOT") ? "IS NOT NULL" : "IS NULL"
    c.expect("NULL")
    return (scope) => `(${operand.compile(scope).sql} ${test})`
  }
  const not = c.words("NOT") ? "NOT " : ""
  if (c.words("IN")) return parseIn(c, operand, not)
  if (c.words("LIKE")) {
    const pattern = parseExpression(c)
    return (scope) => `(${not}ts_like(${text(operand.compile(scope)).sql}, ${text(pattern.compile(scope)).sql}))`
  }
  if (not !== "" || !c.isSymbol("=", "<>", "!=", "<", ">", "<=", ">=")) throw c.fail()
  const operator = c.next().text
  const right = parseExpression(c)
  return (scope) => compare(operator, operand.compile(scope), right.compile(scope))
}

const parseIn = (c: Cursor, operand: Expression, not: string): Predicate =>
  c.inside(() => {
    if (c.isWord("SELECT", "WITH")) {
      const query = parseQuery(c)
      return (scope) => {
        const { sql, type } = oneColumn(query, scope)
        const { sql: [key, column] } = unify([operand.compile(scope), { sql: quote("c0"), type, nullable: true }])
        return `(${key} ${not}IN (WITH "q"("c0") AS (${sql}) SELECT ${column} FROM "q"))`
      }
    }
    const items = c.list(() => parseExpression(c))
    return (scope) => {
      const { sql: [key, ...rest], type } = unify([operand, ...items].map((one) => one.compile(scope)))
      return `(${sortKey({ sql: key!, type })} ${not}IN (${rest.join(", ")}))`
    }
  })
