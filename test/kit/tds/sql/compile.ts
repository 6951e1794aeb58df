/**
 * Expressions and conditions as SQLite's SQL, with the types that T-SQL gives them.
 *
 * Exports: `compileExpression`, `compilePredicate`, `sortKey`.
 */
import * as Types from "../types.js"
import { type SqlType, TsqlError, typeText, unsupported } from "../types.js"
import type { Expression, Predicate } from "./ast.js"
import { asDecimal, commonType } from "./convert.js"
import { compileCall } from "./functions.js"
import { compileQuery } from "./query.js"
import { coerce, type Compiled, type Context, resolveColumn, type Scope, value } from "./scope.js"

const literalNumber = (context: Context, text: string): Compiled => {
  if (/e/i.test(text)) return value(context, Number(text), Types.float)
  if (!text.includes(".")) {
    const digits = text.replace(/^0+(?=\d)/, "")
    const number = BigInt(digits)
    if (number <= 2147483647n) return { sql: digits, type: Types.int, nullable: false }
    return value(context, digits, Types.decimal(digits.length, 0))
  }
  const [whole, fraction] = [text.slice(0, text.indexOf(".")).replace(/^0+/, ""), text.slice(text.indexOf(".") + 1)]
  const precision = Math.max(1, whole.length + fraction.length)
  return value(
    context,
    fraction === "" ? whole || "0" : `${whole || "0"}.${fraction}`,
    Types.decimal(Math.max(precision, fraction.length), fraction.length)
  )
}

/** The type of an arithmetic result. */
const arithmeticType = (operator: string, a: SqlType, b: SqlType, line: number): SqlType => {
  if (!Types.isNumeric(a) || !Types.isNumeric(b)) {
    if (Types.isString(a) && Types.isNumeric(b)) return arithmeticType(operator, b, b, line)
    if (Types.isString(b) && Types.isNumeric(a)) return arithmeticType(operator, a, a, line)
    throw Types.isTemporal(a) || Types.isTemporal(b)
      ? new TsqlError(206, `Operand type clash: ${a.kind} is incompatible with ${b.kind}`, 16, 2, line)
      : new TsqlError(
        402,
        `The data types ${a.kind} and ${b.kind} are incompatible in the ${operator} operator.`,
        16,
        1,
        line
      )
  }
  if (Types.isFloat(a) || Types.isFloat(b)) return commonType(a, b)
  if (Types.isInteger(a) && Types.isInteger(b)) return commonType(a, b)
  if (a.kind === "money" || b.kind === "money" || a.kind === "smallmoney" || b.kind === "smallmoney") {
    if (a.kind !== "decimal" && b.kind !== "decimal" && (operator === "+" || operator === "-")) return commonType(a, b)
    throw unsupported(`${operator} between ${typeText(a)} and ${typeText(b)}`, line)
  }
  const [x, y] = [asDecimal(a), asDecimal(b)]
  if (operator === "*") return limited(x.precision + y.precision + 1, x.scale + y.scale)
  if (operator === "/") {
    const scale = Math.max(6, x.scale + y.precision + 1)
    return limited(x.precision - x.scale + y.scale + scale, scale)
  }
  if (operator !== "+" && operator !== "-" && operator !== "%") throw unsupported(`${operator} between decimals`, line)
  const scale = Math.max(x.scale, y.scale)
  return limited(scale + Math.max(x.precision - x.scale, y.precision - y.scale) + 1, scale)
}

/** A precision above 38 takes decimals away, but leaves six. */
const limited = (precision: number, scale: number): SqlType =>
  precision <= 38
    ? Types.decimal(precision, scale)
    : Types.decimal(38, Math.max(Math.min(scale, 6), scale - (precision - 38)))

const compileArithmetic = (
  context: Context,
  scope: Scope | undefined,
  { left, line, operator, right }: Extract<Expression, { tag: "arithmetic" }>
): Compiled => {
  const a = compileExpression(context, scope, left)
  const b = compileExpression(context, scope, right)
  const nullable = a.nullable || b.nullable
  const [x, y] = [a.type ?? b.type ?? Types.int, b.type ?? a.type ?? Types.int]
  if (operator === "+" && Types.isString(x) && Types.isString(y)) {
    const unicode = Types.isUnicode(x) || Types.isUnicode(y)
    const longest = unicode ? 4000 : 8000
    const total = x.length === -1 || y.length === -1 ? -1 : Math.min(x.length + y.length, longest)
    const joined = `ts_concat(${a.sql}, ${b.sql})`
    return {
      // What goes beyond is cut, as the server does it without a word.
      sql: total !== -1 && x.length + y.length > longest ? `ts_substring(${joined}, 1, ${longest})` : joined,
      type: unicode ? Types.nvarchar(total) : Types.varchar(total),
      nullable
    }
  }
  if (operator === "+" && Types.isBinary(x) && Types.isBinary(y)) {
    return { sql: `ts_bytes(${a.sql}, ${b.sql})`, type: commonType(x, Types.varbinary(-1)), nullable }
  }
  const type = arithmeticType(operator, x, y, line)
  // Decimals keep their own scale on the way in; other kinds are brought to the result's.
  const operand = (of: Compiled, its: SqlType): string =>
    Types.isExact(type) && !Types.isString(its)
      ? coerce(of, Types.isInteger(its) ? asDecimal(its) : its, "implicit").sql
      : coerce(of, type, "implicit").sql
  return {
    sql: `ts_math('${operator}', ${operand(a, x)}, ${operand(b, y)}, '${typeText(type)}')`,
    type,
    nullable
  }
}

/** The common type of several expressions, and each of them as it. */
export const unify = (
  all: ReadonlyArray<Compiled>
): { readonly type: SqlType; readonly sql: ReadonlyArray<string> } => {
  let type: SqlType | undefined
  for (const one of all) {
    if (one.type !== undefined) type = type === undefined ? one.type : commonType(type, one.type)
  }
  const result = type ?? Types.int
  return { type: result, sql: all.map((one) => coerce(one, result, "implicit").sql) }
}

export const compileExpression = (context: Context, scope: Scope | undefined, e: Expression): Compiled => {
  switch (e.tag) {
    case "null":
      return { sql: "NULL", type: undefined, nullable: true }
    case "number":
      return literalNumber(context, e.text)
    case "string":
      return value(
        context,
        e.value,
        e.unicode ? Types.nvarchar(bounded(e.value.length, 4000)) : Types.varchar(bounded(e.value.length, 8000))
      )
    case "binary": {
      const bytes = Buffer.from(e.hex, "hex")
      return value(context, bytes, Types.varbinary(bounded(bytes.length, 8000)))
    }
    case "variable": {
      if (e.name.startsWith("@@")) {
        const found = context.session(e.name, [])
        if (found === undefined) throw unsupported(e.name, e.line)
        return value(context, found.value, found.type)
      }
      const found = context.variable(e.name, e.line)
      return { ...value(context, found.value, found.type), nullable: true }
    }
    case "column": {
      const { column, scope: owner } = resolveColumn(scope, e.table, e.name, e.line)
      if (!owner.insideAggregate) owner.seen.columns.push({ sql: column.sql, name: column.name })
      return { sql: column.sql, type: column.type, nullable: column.nullable }
    }
    case "unary": {
      if (e.operator === "-" && e.operand.tag === "number") {
        const literal = e.operand.text
        if (/^\d+$/.test(literal) && BigInt(literal) === 2147483648n) return value(context, -2147483648n, Types.int)
      }
      const operand = compileExpression(context, scope, e.operand)
      const type = operand.type ?? Types.int
      if (!Types.isNumeric(type)) {
        throw new TsqlError(8117, `Operand data type ${type.kind} is invalid for minus operator.`)
      }
      if (e.operator === "+") return operand
      if (e.operator === "~") throw unsupported("the operator ~")
      const zero = Types.isExact(type) ? "'0'" : Types.isFloat(type) ? "0.0" : "0"
      return { sql: `ts_math('-', ${zero}, ${operand.sql}, '${typeText(type)}')`, type, nullable: operand.nullable }
    }
    case "arithmetic":
      return compileArithmetic(context, scope, e)
    case "cast": {
      const operand = compileExpression(context, scope, e.operand)
      if (e.style !== undefined && ![0, 126, 127, 121, 120].includes(e.style)) {
        throw unsupported(`CONVERT style ${e.style}`)
      }
      if (e.trying) {
        return operand.type === undefined
          ? { sql: "NULL", type: e.type, nullable: true }
          : {
            sql: `ts_try(${operand.sql}, '${typeText(operand.type)}', '${typeText(e.type)}')`,
            type: e.type,
            nullable: true
          }
      }
      if (e.style === undefined || e.style === 0) return coerce(operand, e.type, "cast")
      if (operand.type === undefined || !Types.isTemporal(operand.type) || !Types.isString(e.type)) {
        throw unsupported(`CONVERT style ${e.style} between these types`)
      }
      // The old types have no text of their own here; in these styles it is that of a datetime2.
      const old = operand.type.kind === "datetime" || operand.type.kind === "smalldatetime"
      const cast = coerce(old ? coerce(operand, Types.datetime2(3), "cast") : operand, e.type, "cast")
      if (e.style !== 126 && e.style !== 127) return cast
      const iso = `ts_replace(${cast.sql}, ' ', 'T')`
      // Without its fraction where that is nothing.
      return { ...cast, sql: old ? `ts_replace(${iso}, '.000', '')` : iso }
    }
    case "case": {
      const subject = e.subject
      const conditions = e.branches.map((branch) =>
        branch.condition !== undefined
          ? compilePredicate(context, scope, branch.condition)
          : compilePredicate(context, scope, { tag: "compare", operator: "=", left: subject!, right: branch.when! })
      )
      const results = e.branches.map((branch) => compileExpression(context, scope, branch.then))
      results.push(
        e.otherwise === undefined
          ? { sql: "NULL", type: undefined, nullable: true }
          : compileExpression(context, scope, e.otherwise)
      )
      const { sql, type } = unify(results)
      return {
        sql: `CASE ${conditions.map((condition, i) => `WHEN ${condition} THEN ${sql[i]}`).join(" ")} ELSE ${
          sql[sql.length - 1]
        } END`,
        type,
        nullable: results.some((_) => _.nullable)
      }
    }
    case "iif": {
      const condition = compilePredicate(context, scope, e.condition)
      const results = [compileExpression(context, scope, e.then), compileExpression(context, scope, e.otherwise)]
      const { sql, type } = unify(results)
      return {
        sql: `CASE WHEN ${condition} THEN ${sql[0]} ELSE ${sql[1]} END`,
        type,
        nullable: results.some((_) => _.nullable)
      }
    }
    case "call":
      return compileCall(context, scope, e)
    case "subquery": {
      const query = compileQuery(context, e.query, scope)
      if (query.columns.length !== 1) {
        throw new TsqlError(
          116,
          "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS."
        )
      }
      // SQLite takes the first of several rows; SQL Server refuses them.
      return {
        sql: `(SELECT CASE WHEN COUNT(*) > 1 THEN ts_many() ELSE MAX(v) END FROM (SELECT ${quoted(0)} AS v FROM (${
          renamed(query.sql, 1)
        }) LIMIT 2))`,
        type: query.columns[0]!.type,
        nullable: true
      }
    }
  }
}

const bounded = (length: number, max: number): number => length > max ? -1 : Math.max(1, length)
const quoted = (i: number): string => `"c${i}"`

/** A query whose columns are named c0, c1, ... */
export const renamed = (sql: string, count: number): string =>
  `WITH "q"(${Array.from({ length: count }, (_, i) => quoted(i)).join(", ")}) AS (${sql}) SELECT * FROM "q"`

/** What sorts and compares as the value does. */
export const sortKey = (sql: string, type: SqlType): string =>
  Types.isExact(type) ? `ts_key(${sql})` : type.kind === "datetimeoffset" ? `substr(${sql}, 1, 27)` : sql

const operators: Readonly<Record<string, string>> = { "!<": ">=", "!>": "<=", "!=": "<>" }

const compare = (operator: string, a: Compiled, b: Compiled): string => {
  const { sql, type } = unify([a, b])
  return `(${sortKey(sql[0]!, type)} ${operators[operator] ?? operator} ${sortKey(sql[1]!, type)})`
}

export const compilePredicate = (context: Context, scope: Scope | undefined, p: Predicate): string => {
  const not = (negated: boolean, sql: string): string => negated ? `(NOT ${sql})` : sql
  switch (p.tag) {
    case "compare":
      return compare(
        p.operator,
        compileExpression(context, scope, p.left),
        compileExpression(context, scope, p.right)
      )
    case "and":
      return `(${compilePredicate(context, scope, p.left)} AND ${compilePredicate(context, scope, p.right)})`
    case "or":
      return `(${compilePredicate(context, scope, p.left)} OR ${compilePredicate(context, scope, p.right)})`
    case "not":
      return `(NOT ${compilePredicate(context, scope, p.operand)})`
    case "isNull":
      return `(${compileExpression(context, scope, p.operand).sql} IS ${p.negated ? "NOT " : ""}NULL)`
    case "between": {
      const operand = compileExpression(context, scope, p.operand)
      const low = compare(">=", operand, compileExpression(context, scope, p.low))
      const high = compare("<=", operand, compileExpression(context, scope, p.high))
      return not(p.negated, `(${low} AND ${high})`)
    }
    case "like": {
      const operand = coerce(compileExpression(context, scope, p.operand), Types.nvarchar(-1), "implicit")
      const pattern = coerce(compileExpression(context, scope, p.pattern), Types.nvarchar(-1), "implicit")
      const escape = p.escape === undefined ? "NULL" : compileExpression(context, scope, p.escape).sql
      return not(p.negated, `ts_like(${operand.sql}, ${pattern.sql}, ${escape})`)
    }
    case "exists":
      return `EXISTS (${compileQuery(context, p.query, scope).sql})`
    case "in": {
      const operand = compileExpression(context, scope, p.operand)
      if ("body" in p.list) {
        const query = compileQuery(context, p.list, scope)
        if (query.columns.length !== 1) {
          throw new TsqlError(
            116,
            "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS."
          )
        }
        const column: Compiled = { sql: quoted(0), type: query.columns[0]!.type, nullable: true }
        const { sql, type } = unify([operand, column])
        return not(
          p.negated,
          `(${sortKey(sql[0]!, type)} IN (SELECT ${sortKey(sql[1]!, type)} FROM (${renamed(query.sql, 1)})))`
        )
      }
      const { sql, type } = unify([operand, ...p.list.map((item) => compileExpression(context, scope, item))])
      const [first, ...rest] = sql.map((one) => sortKey(one, type))
      return not(p.negated, `(${first} IN (${rest.join(", ")}))`)
    }
  }
}
