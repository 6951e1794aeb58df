/**
 * What mysql2 gives for a statement, and what the caller asked for.
 */
import type { FieldPacket, ResultSetHeader } from "mysql2"
import type { JsonNumbers } from "../../../DbConfig.js"
import type { Request, StatementResult } from "../../../driver/Driver.js"
import { statementsOf, wordSet } from "../../sql/classify.js"
import { syntaxes } from "../../sql/Syntax.js"
import { RowDecoder } from "./values.js"

/**
 * A header where there are no rows, rows as arrays or objects, or an array of these where there were several statements.
 */
export type Results = ResultSetHeader | ReadonlyArray<unknown>

/** The columns; an array of such arrays where there were several statements. */
export type Fields = ReadonlyArray<FieldPacket> | ReadonlyArray<ReadonlyArray<FieldPacket> | undefined> | undefined

/**
 * Whether a result is that of a statement without rows. It has a class of its own; rows are plain objects or arrays, and
 * their columns can have any name.
 */
export const isHeader = (result: unknown): result is ResultSetHeader =>
  typeof result === "object" && result !== null && !Array.isArray(result) &&
  Object.getPrototypeOf(result) !== Object.prototype

const isSeveralFields = (fields: Fields): fields is ReadonlyArray<ReadonlyArray<FieldPacket> | undefined> =>
  fields !== undefined && (fields[0] === undefined || Array.isArray(fields[0]))

/** Whether the results are those of several statements. */
export const isSeveral = (results: Results, fields: Fields): results is ReadonlyArray<unknown> =>
  Array.isArray(results) && isSeveralFields(fields)

const shapeOne = (
  request: Request,
  result: unknown,
  fields: ReadonlyArray<FieldPacket> | undefined,
  numbers: JsonNumbers
): unknown =>
  Array.isArray(result) && fields !== undefined
    ? new RowDecoder(fields, request, numbers).rows(result)
    : request.mode === "raw"
    ? result
    : []

/** Statements that give the rows which they write, when they have RETURNING. */
const returning = wordSet("insert replace update delete")

/** Where the results of the last statement begin: a CALL gives the rows of its procedure and then a header, all others one result. */
const lastBegins = (text: string, results: ReadonlyArray<unknown>): number => {
  let at = 0
  for (const { tokens } of statementsOf(text, syntaxes.mysql).slice(0, -1)) {
    if (tokens[0] === "CALL") {
      while (at < results.length && !isHeader(results[at])) at++
    }
    at++
  }
  return at
}

/** What the last of several statements gave and did. */
const resultOf = (text: string, results: ReadonlyArray<unknown>, shaped: ReadonlyArray<unknown>): StatementResult => {
  const header = results.at(-1)
  if (!isHeader(header)) {
    // What is no header is rows.
    const rows = shaped.at(-1) as ReadonlyArray<unknown>
    const [first = ""] = statementsOf(text, syntaxes.mysql).at(-1)?.tokens ?? []
    return { rows, rowsAffected: returning.has(first) ? rows.length : 0, lastInsertId: undefined }
  }
  const before = results.length - 2
  const hasRows = before >= 0 && !isHeader(results[before]) && before >= lastBegins(text, results)
  // mysql2 gives text where a number would lose digits, and reads the server's unsigned number as a signed one.
  const id = BigInt.asUintN(64, BigInt(header.insertId as number | string))
  return {
    // Of several results each is shaped; one that is no header is rows.
    rows: hasRows ? shaped[before] as ReadonlyArray<unknown> : [],
    rowsAffected: header.affectedRows,
    lastInsertId: id === 0n ? undefined : id <= Number.MAX_SAFE_INTEGER ? Number(id) : id
  }
}

/** The results in the shape of the request's mode. Throws `Inexact`, where such numbers are refused. */
export const shape = (request: Request, results: Results, fields: Fields, numbers: JsonNumbers): unknown => {
  const shaped = shapeAll(request, results, fields, numbers)
  if (request.mode !== "result") return shaped
  // Several results are shaped one by one.
  return isSeveral(results, fields)
    ? resultOf(request.text, results, shaped as ReadonlyArray<unknown>)
    : resultOf(request.text, [results], [shaped])
}

const shapeAll = (request: Request, results: Results, fields: Fields, numbers: JsonNumbers): unknown =>
  isSeveral(results, fields) && isSeveralFields(fields)
    ? results.map((result, i) => shapeOne(request, result, fields[i], numbers))
    // Not several, so the fields are those of one result.
    : shapeOne(request, results, fields as ReadonlyArray<FieldPacket> | undefined, numbers)

const toNumber = (text: string | null): number | null => text === null ? null : Number(text)

/** A text in the text protocol. mysql2's own reading of digits loses the last bit of some doubles. */
export const textOptions = (sql: string) => ({
  sql,
  typeCast: (field: { readonly type: string; readonly string: () => string | null }, next: () => unknown): unknown =>
    field.type === "DOUBLE" || field.type === "FLOAT" ? toNumber(field.string()) : next()
})
