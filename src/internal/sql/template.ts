/**
 * The helpers of a template (`insert`, `update`, `updateValues`, `in`), looked at before they are compiled: what the compiler of
 * `@effect/sql` would drop, bind in the wrong order or fail on is put right, or said.
 */
import * as Statement from "@effect/sql/Statement"
import { databases, emptyList, tooMany } from "./lists.js"
import { Problem, problemIn } from "./pieces.js"
import { areUniform, keysOf } from "./uniformRows.js"

type Segment = Statement.Segment
type Row = Readonly<Record<string, unknown>>

/** What the looking depends on. */
export interface Rules {
  readonly dialect: Statement.Dialect
  /** The most parameters that a statement may have. */
  readonly mostParameters: number
  /** The source of helpers. */
  readonly sql: Pick<Statement.Constructor, "insert">
  /** Whether a value is one of `@effect/sql`'s helpers, whose classes are not exported. */
  readonly isHelper: (value: object) => boolean
}

/** The pieces that a driver has beyond those of `@effect/sql`. A compiler drops those that it does not know, or fails. */
const customs: Readonly<Record<Statement.Dialect, string | undefined>> = {
  pg: "PgJson",
  mssql: "MssqlParam",
  mysql: undefined,
  sqlite: undefined,
  clickhouse: undefined
}

/** A list longer than this is compiled piece by piece: as one it would be an argument list, for which the stack may be too small. */
const longestList = 4096

const literal = (value: string): Statement.Literal => ({ _tag: "Literal", value })

const inBefore = /\bin\s*$/i

/** What a helper's `returning` was given. The type of @effect/sql keeps the field to itself. */
export const returningOf = (
  helper: Statement.RecordInsertHelper | Statement.RecordUpdateHelper | Statement.RecordUpdateHelperSingle
): string | Statement.Fragment | undefined =>
  (helper as { readonly returningIdentifier?: string | Statement.Fragment | undefined }).returningIdentifier

/** An object with columns. What holds its content in another way (a Map, a date, private fields) would be a row of defaults. */
const isRow = (row: unknown): boolean =>
  typeof row === "object" && row !== null && (Object.keys(row).length > 0 ? !Array.isArray(row) : isPlainObject(row))

const isPlainObject = (value: object): boolean => {
  const prototype: object | null = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** What the row itself has: a column may be called `constructor`. */
const valueOf = (row: Row, key: string): unknown => Object.hasOwn(row, key) ? row[key] : undefined

/** Looks at one statement. */
class Look {
  readonly segments: Array<Segment> = []
  changed = false
  /** Parameters, as far as they are counted. */
  count = 0

  constructor(private readonly rules: Rules) {}

  /** A value that is SQL itself. A mark such as `sql.json(value)` is a value. */
  private isSql(value: unknown): boolean {
    if (typeof value !== "object" || value === null) {
      return false
    }
    if (!Statement.isFragment(value)) {
      return this.rules.isHelper(value)
    }
    const [first] = value.segments
    return value.segments.length !== 1 ||
      !(first!._tag === "Parameter" || (first!._tag === "Custom" && first!.kind === customs[this.rules.dialect]))
  }

  private values(helper: string, row: Row, keys: ReadonlyArray<string>, where: string): Problem | undefined {
    this.count += keys.length
    const at = keys.find((key) => this.isSql(valueOf(row, key)))
    return at === undefined ? undefined : new Problem(
      `${helper} was given a piece of SQL as the value of "${at}"${where}, and takes values only: write the columns and ` +
        "their values into the text of the statement"
    )
  }

  /** The rows of a list, all of them objects, or what is wrong. */
  private rows(helper: string, rows: ReadonlyArray<Row>): Problem | undefined {
    if (rows.length === 0) {
      return new Problem(`${helper} was given no rows: run the statement only where there are some`)
    }
    const at = rows.findIndex((row) => !isRow(row))
    return at < 0 ? undefined : new Problem(`${helper} was given a row that is no object: row ${at + 1}`)
  }

  insert(segment: Statement.RecordInsertHelper): Problem | undefined {
    const { dialect } = this.rules
    const rows = segment.value
    const keys = keysOf(rows[0])
    if (keys !== undefined && areUniform(rows, keys, (value) => this.isSql(value))) {
      this.count += rows.length * keys.length
      this.segments.push(segment)
      return this.returning(returningOf(segment))
    }
    const problem = this.rows("sql.insert", rows) ?? this.returning(returningOf(segment))
    if (problem !== undefined) {
      return problem
    }
    const own = Object.keys(rows[0]!)
    let all: Array<string> = own
    for (let i = 1; i < rows.length; i++) {
      for (const key of Object.keys(rows[i]!)) {
        if (!Object.hasOwn(rows[0]!, key) && (all === own || !all.includes(key))) {
          all = [...all, key]
        }
      }
    }
    if (all.length === 0) {
      return this.defaults(segment)
    }
    for (let i = 0; i < rows.length; i++) {
      const wrong = this.values("sql.insert", rows[i]!, all, rows.length === 1 ? "" : ` in row ${i + 1}`)
      if (wrong !== undefined) return wrong
    }
    const inherits = all.some((key) => key in Object.prototype)
    if (all === own && !(inherits && rows.length > 1)) {
      this.segments.push(segment)
      return undefined
    }
    if (dialect === "clickhouse" && all !== own) {
      return new Problem("sql.insert was given rows of different keys")
    }
    // The columns are the keys of the first row. What a row does not have is NULL, as it is where a later row lacks a key.
    const complete = (row: Row): Row => Object.fromEntries(all.map((key) => [key, valueOf(row, key)]))
    const whole = this.rules.sql.insert([
      complete(rows[0]!),
      ...inherits ? rows.slice(1).map(complete) : rows.slice(1)
    ])
    const returning = returningOf(segment)
    this.changed = true
    this.segments.push(returning === undefined ? whole : whole.returning(returning))
    return undefined
  }

  /** Rows without a column take the defaults of all columns. */
  private defaults(segment: Statement.RecordInsertHelper): Problem | undefined {
    const { dialect } = this.rules
    if (dialect === "mysql") {
      this.segments.push(segment)
      return undefined
    }
    if (segment.value.length > 1) {
      return new Problem("sql.insert was given several rows without a column: insert them one by one")
    }
    const returning = returningOf(segment)
    this.changed = true
    const isOutput = dialect === "mssql"
    if (!isOutput) {
      this.segments.push(literal("DEFAULT VALUES"))
    }
    if (returning !== undefined) {
      const all = returning === "*" ? "INSERTED.*" : returning
      const what = isOutput ? all : returning
      this.segments.push(literal(isOutput ? "OUTPUT " : " RETURNING "))
      this.segments.push(...(typeof what === "string" ? [literal(what)] : what.segments))
    }
    if (isOutput) {
      this.segments.push(literal(" DEFAULT VALUES"))
    }
    return undefined
  }

  update(segment: Statement.RecordUpdateHelperSingle): Problem | undefined {
    if (!isRow(segment.value)) {
      return new Problem("sql.update was given what is no object")
    }
    const keys = Object.keys(segment.value).filter((key) => !segment.omit.includes(key))
    if (keys.length === 0) {
      return new Problem("sql.update was given nothing to set: run the statement only where there is something")
    }
    this.segments.push(segment)
    return this.values("sql.update", segment.value, keys, "") ?? this.returning(returningOf(segment))
  }

  updateValues(segment: Statement.RecordUpdateHelper): Problem | undefined {
    const { dialect } = this.rules
    if (dialect !== "pg" && dialect !== "mssql") {
      return new Problem(
        `sql.updateValues does not exist for ${databases[dialect]}: update row by row, in a transaction`
      )
    }
    const rows = segment.value
    if (!Array.isArray(rows)) {
      return new Problem("sql.updateValues was given what is no array of rows")
    }
    const problem = this.rows("sql.updateValues", rows) ?? this.returning(returningOf(segment))
    if (problem !== undefined) {
      return problem
    }
    const keys = Object.keys(rows[0]!)
    if (keys.length === 0) {
      return new Problem("sql.updateValues was given rows without a column")
    }
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!
      const missing = keys.find((key) => !Object.hasOwn(row, key))
      const more = Object.keys(row).find((key) => !Object.hasOwn(rows[0]!, key))
      if (missing !== undefined || more !== undefined) {
        // NULL would overwrite what stands there.
        return new Problem(
          `sql.updateValues was given rows of different keys: "${missing ?? more}" is ` +
            (missing === undefined ? `in row ${i + 1} and not in row 1` : `in row 1 and not in row ${i + 1}`) +
            ": give each row the same keys"
        )
      }
      const wrong = this.values("sql.updateValues", row, keys, ` in row ${i + 1}`)
      if (wrong !== undefined) return wrong
    }
    this.segments.push(segment)
    return undefined
  }

  private returning(what: string | Statement.Fragment | undefined): Problem | undefined {
    if (what === undefined || typeof what === "string") {
      return undefined
    }
    for (const segment of what.segments) {
      const problem = problemIn(segment)
      if (problem !== undefined) return problem
    }
    const parameters = countOf(what.segments)
    this.count += parameters
    // The compiler of `@effect/sql-mssql` numbers the values first and hands over those of `returning` first.
    return parameters > 0 && this.rules.dialect === "mssql"
      ? new Problem(
        "returning was given a piece of SQL with a parameter in it: write OUTPUT into the text of the statement"
      )
      : undefined
  }

  list(segment: Statement.ArrayHelper): Problem | undefined {
    const { dialect } = this.rules
    const items: unknown = segment.value
    if (!Array.isArray(items)) {
      return new Problem("sql.in was given what is no array")
    }
    if (items.length === 0) {
      const before = this.segments.at(-1)
      if (before?._tag !== "Literal" || before.params !== undefined || !inBefore.test(before.value)) {
        return new Problem(
          "sql.in was given an empty list, and stands behind no IN: leave the condition out where there is none"
        )
      }
      this.changed = true
      this.segments[this.segments.length - 1] = literal(emptyList(before.value, dialect))
      return undefined
    }
    const hasPieces = items.some((item) => this.isSql(item) || Statement.isFragment(item))
    if (!hasPieces && items.length <= longestList) {
      this.count += items.length
      this.segments.push(segment)
      return undefined
    }
    this.changed = true
    for (let i = 0; i < items.length; i++) {
      const item = items[i]
      this.segments.push(literal(i === 0 ? "(" : ","))
      if (Statement.isFragment(item)) {
        const problem = this.all(item.segments)
        if (problem !== undefined) return problem
      } else if (this.isSql(item)) {
        return new Problem(`sql.in was given a helper as item ${i + 1} of its list: it takes values`)
      } else {
        this.count++
        this.segments.push({ _tag: "Parameter", value: item })
      }
    }
    this.segments.push(literal(")"))
    return undefined
  }

  one(segment: Segment): Problem | undefined {
    switch (segment._tag) {
      case "RecordInsertHelper":
        return this.insert(segment)
      case "RecordUpdateHelperSingle":
        return this.update(segment)
      case "RecordUpdateHelper":
        return this.updateValues(segment)
      case "ArrayHelper":
        return this.list(segment)
      case "Custom":
        this.count++
        this.segments.push(segment)
        return segment.kind === customs[this.rules.dialect] ? undefined : problemIn(segment) ?? new Problem(
          `the statement holds a value made by another database's client (${segment.kind}), which ` +
            `${databases[this.rules.dialect]} does not know: give the value itself`
        )
      case "Literal":
        this.count += segment.params?.length ?? 0
        this.segments.push(segment)
        return undefined
      case "Parameter":
        this.count++
        this.segments.push(segment)
        return undefined
      case "Identifier":
        this.segments.push(segment)
        return undefined
    }
  }

  all(segments: ReadonlyArray<Segment>): Problem | undefined {
    for (const segment of segments) {
      const problem = this.one(segment)
      if (problem !== undefined) return problem
    }
    return undefined
  }
}

const countOf = (segments: ReadonlyArray<Segment>): number => {
  let count = 0
  for (const segment of segments) {
    count += segment._tag === "Literal" ? segment.params?.length ?? 0 : segment._tag === "Identifier" ? 0 : 1
  }
  return count
}

/** The segments as the compiler is to have them, the same where there is nothing to be done, or what is wrong with them. */
export const look = (segments: ReadonlyArray<Segment>, rules: Rules): ReadonlyArray<Segment> | Problem => {
  const look = new Look(rules)
  let problem: Problem | undefined
  try {
    problem = look.all(segments)
  } catch {
    problem = new Problem("a value in the statement fails when it is read")
  }
  if (problem !== undefined) {
    return problem
  }
  return look.count > rules.mostParameters
    ? new Problem(tooMany(look.count, rules.mostParameters, rules.dialect))
    : look.changed
    ? look.segments
    : segments
}
