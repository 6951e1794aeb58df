/**
 * The functions that this server knows.
 *
 * Exports: `compileCall`.
 */
import * as Types from "../types.js"
import { type SqlType, TsqlError, typeText, unsupported } from "../types.js"
import type { Expression } from "./ast.js"
import { compileExpression, sortKey, unify } from "./compile.js"
import { coerce, type Compiled, type Context, type Scope, value } from "./scope.js"

type Call = Extract<Expression, { tag: "call" }>

const aggregates = new Set(["COUNT", "COUNT_BIG", "SUM", "AVG", "MIN", "MAX", "STRING_AGG"])

const count = (call: Call, ...allowed: ReadonlyArray<number>): void => {
  if (!allowed.includes(call.args.length)) {
    throw new TsqlError(
      174,
      `The ${call.name.toLowerCase()} function requires ${allowed[0]} argument(s).`,
      15,
      1,
      call.line
    )
  }
}

const compileAggregate = (context: Context, scope: Scope | undefined, call: Call): Compiled => {
  if (scope === undefined) throw unsupported(`${call.name} without FROM`, call.line)
  if (scope.insideAggregate) {
    throw new TsqlError(
      130,
      "Cannot perform an aggregate function on an expression containing an aggregate or a subquery.",
      15,
      1,
      call.line
    )
  }
  if (call.over !== undefined) throw unsupported(`${call.name} OVER`, call.line)
  scope.seen.aggregate = true
  scope.insideAggregate = true
  const args = call.args.map((arg) => compileExpression(context, scope, arg))
  scope.insideAggregate = false
  const distinct = call.distinct ? "DISTINCT " : ""
  if (call.name === "COUNT" || call.name === "COUNT_BIG") {
    if (!call.star) count(call, 1)
    return {
      sql: call.star ? "COUNT(*)" : `COUNT(${distinct}${args[0]!.sql})`,
      type: call.name === "COUNT" ? Types.int : Types.bigint,
      nullable: true
    }
  }
  if (call.name === "STRING_AGG") {
    count(call, 2)
    const text = coerce(args[0]!, Types.nvarchar(-1), "implicit")
    return { sql: `group_concat(${text.sql}, ${args[1]!.sql})`, type: Types.nvarchar(-1), nullable: true }
  }
  count(call, 1)
  const operand = args[0]!
  const type = operand.type ?? Types.int
  if (call.name === "MIN" || call.name === "MAX") {
    if (!Types.isExact(type)) return { sql: `${call.name}(${operand.sql})`, type, nullable: true }
    // The smallest key carries its value behind it.
    const carried = `${call.name}(ts_key(${operand.sql}) || ${operand.sql})`
    return { sql: `substr(${carried}, 79)`, type, nullable: true }
  }
  if (!Types.isNumeric(type) || type.kind === "bit") {
    throw new TsqlError(
      8117,
      `Operand data type ${type.kind} is invalid for ${call.name.toLowerCase()} operator.`,
      16,
      1,
      call.line
    )
  }
  const result: SqlType = Types.isFloat(type)
    ? Types.float
    : type.kind === "decimal"
    ? Types.decimal(38, call.name === "AVG" ? Math.max(6, type.scale) : type.scale)
    : type.kind === "money" || type.kind === "smallmoney"
    ? Types.money
    : type.kind === "bigint"
    ? Types.bigint
    : Types.int
  const name = call.name === "SUM" ? "ts_sum" : "ts_avg"
  const from = Types.isInteger(type) ? Types.bigint : result
  return {
    sql: `ts_conv(${name}(${distinct}${operand.sql}), '${typeText(from)}', '${typeText(result)}', 'cast')`,
    type: result,
    nullable: true
  }
}

const dateParts: Readonly<Record<string, number>> = {
  millisecond: 1,
  ms: 1,
  second: 1000,
  ss: 1000,
  s: 1000,
  minute: 60_000,
  mi: 60_000,
  n: 60_000,
  hour: 3_600_000,
  hh: 3_600_000,
  day: 86_400_000,
  dd: 86_400_000,
  d: 86_400_000
}

const datePart = (e: Expression | undefined, line: number): number => {
  const part = e?.tag === "column" && e.table === undefined ? dateParts[e.name.toLowerCase()] : undefined
  if (part === undefined) throw unsupported("this part of a date", line)
  return part
}

/** Text that grew: cut at 8000 bytes, unless it was `max` before. */
const clipped = (sql: string, from: SqlType): Compiled => {
  if (from.length === -1) return { sql, type: from, nullable: true }
  const length = Types.isUnicode(from) ? 4000 : 8000
  return {
    sql: `ts_substring(${sql}, 1, ${length})`,
    type: Types.isUnicode(from) ? Types.nvarchar(length) : Types.varchar(length),
    nullable: true
  }
}

/** A function call, or the error that there is no such function. */
export const compileCall = (context: Context, scope: Scope | undefined, call: Call): Compiled => {
  if (aggregates.has(call.name)) return compileAggregate(context, scope, call)
  if (call.name === "ROW_NUMBER" && call.over !== undefined) {
    const keys = (list: ReadonlyArray<Expression>): ReadonlyArray<string> =>
      list.map((e) => {
        const one = compileExpression(context, scope, e)
        return sortKey(one.sql, one.type ?? Types.int)
      })
    const partition = keys(call.over.partition)
    const order = keys(call.over.order.map((_) => _.expression))
    if (order.length === 0) {
      throw new TsqlError(4112, "The function 'ROW_NUMBER' must have an OVER clause with ORDER BY.", 15, 1, call.line)
    }
    return {
      sql: `ROW_NUMBER() OVER (${partition.length === 0 ? "" : `PARTITION BY ${partition.join(", ")} `}ORDER BY ${
        order.map((key, i) => key + (call.over!.order[i]!.descending ? " DESC" : "")).join(", ")
      })`,
      type: Types.bigint,
      nullable: true
    }
  }
  if (call.over !== undefined || call.star || call.distinct) throw unsupported(`${call.name} in this form`, call.line)
  if (call.name === "DATEADD" || call.name === "DATEDIFF") {
    count(call, 3)
    const millis = datePart(call.args[0], call.line)
    const [a, b] = [compileExpression(context, scope, call.args[1]!), compileExpression(context, scope, call.args[2]!)]
    if (call.name === "DATEADD") {
      const type = b.type !== undefined && Types.isTemporal(b.type) ? b.type : Types.datetime
      const moment = coerce(b, type, "implicit")
      return {
        sql: `ts_dateadd(${millis}, ${coerce(a, Types.int, "implicit").sql}, ${moment.sql}, '${typeText(type)}')`,
        type,
        nullable: true
      }
    }
    const moment = (one: Compiled): string => coerce(one, Types.datetimeoffset(7), "implicit").sql
    return { sql: `ts_datediff(${millis}, ${moment(a)}, ${moment(b)})`, type: Types.int, nullable: true }
  }
  const args = call.args.map((arg) => compileExpression(context, scope, arg))
  const nullable = args.some((_) => _.nullable)
  const text = (i: number): Compiled => {
    const one = args[i]!
    return one.type !== undefined && Types.isString(one.type) ? one : coerce(one, Types.nvarchar(4000), "implicit")
  }
  const textType = (one: Compiled): SqlType => one.type ?? Types.nvarchar(1)
  const whole = (i: number): string => coerce(args[i]!, Types.bigint, "implicit").sql
  switch (call.name) {
    case "COALESCE": {
      if (args.length < 2) throw unsupported("COALESCE of one value", call.line)
      const { sql, type } = unify(args)
      return { sql: `COALESCE(${sql.join(", ")})`, type, nullable: args.every((_) => _.nullable) }
    }
    case "ISNULL": {
      count(call, 2)
      const type = args[0]!.type ?? args[1]!.type ?? Types.int
      return {
        sql: `COALESCE(${args[0]!.sql}, ${coerce(args[1]!, type, "implicit").sql})`,
        type,
        nullable: args[1]!.nullable
      }
    }
    case "NULLIF": {
      count(call, 2)
      const { sql, type } = unify(args)
      return {
        sql: `CASE WHEN ${sortKey(sql[0]!, type)} = ${sortKey(sql[1]!, type)} THEN NULL ELSE ${args[0]!.sql} END`,
        type: args[0]!.type ?? Types.int,
        nullable: true
      }
    }
    case "LEN":
      count(call, 1)
      return { sql: `ts_len(${text(0).sql})`, type: Types.int, nullable }
    case "DATALENGTH": {
      count(call, 1)
      const type = args[0]!.type ?? Types.int
      if (Types.isBinary(type)) return { sql: `length(${args[0]!.sql})`, type: Types.int, nullable }
      if (!Types.isString(type)) throw unsupported(`DATALENGTH of ${type.kind}`, call.line)
      return { sql: `ts_datalength(${args[0]!.sql}, ${Types.isUnicode(type) ? 2 : 1})`, type: Types.int, nullable }
    }
    case "UPPER":
    case "LOWER":
      count(call, 1)
      return { sql: `ts_${call.name.toLowerCase()}(${text(0).sql})`, type: textType(text(0)), nullable }
    case "LTRIM":
    case "RTRIM":
    case "TRIM":
      count(call, 1)
      return { sql: `${call.name.toLowerCase()}(${text(0).sql})`, type: textType(text(0)), nullable }
    case "SUBSTRING":
      count(call, 3)
      return {
        sql: `ts_substring(${args[0]!.sql}, ${whole(1)}, ${whole(2)})`,
        type: args[0]!.type ?? Types.nvarchar(1),
        nullable
      }
    case "LEFT":
      count(call, 2)
      return { sql: `ts_substring(${text(0).sql}, 1, ${whole(1)})`, type: textType(text(0)), nullable }
    case "REPLICATE":
      count(call, 2)
      return clipped(`ts_repeat(${text(0).sql}, ${whole(1)})`, textType(text(0)))
    case "REPLACE":
      count(call, 3)
      return clipped(`ts_replace(${text(0).sql}, ${text(1).sql}, ${text(2).sql})`, textType(text(0)))
    case "CHARINDEX":
      count(call, 2, 3)
      return {
        sql: `ts_charindex(${text(0).sql}, ${text(1).sql}, ${args.length === 3 ? whole(2) : 1})`,
        type: Types.int,
        nullable
      }
    case "CONCAT":
      return {
        sql: `ts_concat_all(${args.map((_) => coerce(_, Types.nvarchar(-1), "cast").sql).join(", ")})`,
        type: Types.nvarchar(args.some((_) => _.type?.length === -1) ? -1 : 4000),
        nullable: false
      }
    case "ABS": {
      count(call, 1)
      const type = args[0]!.type ?? Types.int
      if (Types.isInteger(type) || Types.isFloat(type)) return { sql: `abs(${args[0]!.sql})`, type, nullable }
      return { sql: `ltrim(${args[0]!.sql}, '-')`, type, nullable }
    }
    case "FLOOR":
    case "CEILING": {
      count(call, 1)
      const type = args[0]!.type ?? Types.int
      if (Types.isInteger(type)) return { ...args[0]!, type }
      if (Types.isFloat(type)) {
        return { sql: call.name === "FLOOR" ? `floor(${args[0]!.sql})` : `ceil(${args[0]!.sql})`, type, nullable }
      }
      throw unsupported(`${call.name} of a decimal`, call.line)
    }
    case "NEWID":
      count(call, 0)
      return { sql: "ts_newid()", type: Types.uniqueidentifier, nullable: false }
  }
  const values = args.map((arg, i) => {
    const tag = call.args[i]!.tag
    if (tag === "column") throw unsupported(`${call.name} of a column`, call.line)
    return context.evaluate(arg)
  })
  const found = context.session(call.name, values)
  if (found === undefined) {
    throw new TsqlError(195, `'${call.name}' is not a recognized built-in function name.`, 15, 10, call.line)
  }
  return value(context, found.value, found.type)
}
