/**
 * The session of SQL Server: SET options, database, temporary tables, and what only the text tells.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Capture, Difference } from "../SessionState.js"

const onOff = (option: string) => (value: unknown) =>
  `SET ${option} ${value === true || Number(value) === 1 ? "ON" : "OFF"}`

const levels = ["", "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT"]

/** Columns of `sys.dm_exec_sessions` that a SET statement changes. A session may always see its own row. */
const options: Readonly<Record<string, (value: unknown) => string>> = {
  text_size: (value) => `SET TEXTSIZE ${String(value)}`,
  language: (value) => `SET LANGUAGE [${String(value)}]`,
  date_format: (value) => `SET DATEFORMAT ${String(value)}`,
  date_first: (value) => `SET DATEFIRST ${String(value)}`,
  quoted_identifier: onOff("QUOTED_IDENTIFIER"),
  arithabort: onOff("ARITHABORT"),
  ansi_null_dflt_on: onOff("ANSI_NULL_DFLT_ON"),
  ansi_warnings: onOff("ANSI_WARNINGS"),
  ansi_padding: onOff("ANSI_PADDING"),
  ansi_nulls: onOff("ANSI_NULLS"),
  concat_null_yields_null: onOff("CONCAT_NULL_YIELDS_NULL"),
  transaction_isolation_level: (value) => `SET TRANSACTION ISOLATION LEVEL ${levels[Number(value)] ?? levels[2]!}`,
  lock_timeout: (value) => `SET LOCK_TIMEOUT ${String(value)}`,
  deadlock_priority: (value) => `SET DEADLOCK_PRIORITY ${String(value)}`
}

/** Bits of `@@OPTIONS` that the view above does not show. */
const bits: ReadonlyArray<readonly [number, string]> = [
  [2, "IMPLICIT_TRANSACTIONS"],
  [4, "CURSOR_CLOSE_ON_COMMIT"],
  [512, "NOCOUNT"],
  [8192, "NUMERIC_ROUNDABORT"],
  [16384, "XACT_ABORT"]
]

const name = (text: string): string => `[${text.replaceAll("]", "]]")}]`

const look = (sql: SqlClient.SqlClient): Effect.Effect<ReadonlyMap<string, string>, SqlError> =>
  Effect.gen(function*() {
    const found = new Map<string, string>()
    const [row] = yield* sql.unsafe<Record<string, unknown>>(
      "SELECT * FROM sys.dm_exec_sessions WHERE session_id = @@SPID"
    ).unprepared
    for (const [column, text] of Object.entries(options)) {
      const value = row?.[column]
      if (value !== undefined && value !== null) {
        found.set(column, text(value))
      }
    }
    const [flags] = yield* sql.unsafe<{ flags: unknown }>("SELECT @@OPTIONS AS flags").unprepared.pipe(
      // A server that does not tell them.
      Effect.orElseSucceed(() => [])
    )
    for (const [bit, option] of flags === undefined ? [] : bits) {
      found.set(option.toLowerCase(), onOff(option)((Number(flags!.flags) & bit) === 0 ? 0 : 1))
    }
    const [place] = yield* sql.unsafe<{ place: string }>("SELECT DB_NAME() AS place").unprepared
    found.set("the database of USE", `USE ${name(place!.place)}`)
    return found
  })

const differencesOf = (
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>
): ReadonlyArray<Difference> =>
  [...before].filter(([what, text]) => now.get(what) !== text).map(([what, text]) => ({ what, text }))

const part = "(?:\\[(?:[^\\]]|\\]\\])+\\]|\"[^\"]+\"|[\\w@$]+)"
const object = `${part}(?:\\s*\\.\\s*${part})*`

/** What these texts may have left that no view shows to every user. */
const undo = (texts: ReadonlyArray<string>): ReadonlyArray<string> => {
  const found = (pattern: string) => texts.flatMap((text) => [...text.matchAll(new RegExp(pattern, "gi"))])
  const said = (pattern: RegExp) => texts.some((text) => pattern.test(text))
  return [
    // First of all: with one of these nothing else is run.
    ...said(/\b(?:noexec|parseonly|fmtonly)\b/i) ? ["SET NOEXEC OFF", "SET PARSEONLY OFF", "SET FMTONLY OFF"] : [],
    ...said(/\b(?:execute|exec)\s+as\b|\bsetuser\b/i) ? ["REVERT"] : [],
    ...said(/\browcount\b/i) ? ["SET ROWCOUNT 0"] : [],
    ...found(`\\bidentity_insert\\s+(${object})\\s+on\\b`).map((match) => `SET IDENTITY_INSERT ${match[1]!} OFF`),
    ...found("\\bsp_set_session_context\\s+(?:@key\\s*=\\s*)?(N?'(?:[^']|'')+')").map((match) =>
      `EXEC sp_set_session_context ${match[1]!}, NULL`
    ),
    ...found("\\bsp_getapplock\\b[^;]*?(?:@resource\\s*=\\s*)?(N?'(?:[^']|'')+')").map((match) =>
      `EXEC sp_releaseapplock @Resource = ${match[1]!}, @LockOwner = 'Session'`
    ),
    ...[...new Set(found("(#{1,2}[\\w@$]+)|\\[(#{1,2}[^\\]]+)\\]").map((match) => match[1] ?? match[2]!))]
      .map((table) => `IF OBJECT_ID('tempdb..${table.replaceAll("'", "''")}') IS NOT NULL DROP TABLE ${name(table)}`)
  ]
}

export const capture: Capture = (sql) =>
  Effect.map(look(sql), (before) => ({
    differences: Effect.map(look(sql), (now) => differencesOf(before, now)),
    undo,
    // The database, and what would keep the row from being written; the rest can wait until COMMIT.
    beforeRow: (texts) =>
      Effect.forEach(
        [
          ...texts.some((text) => /\b(?:noexec|parseonly|fmtonly)\b/i.test(text)) ? ["SET NOEXEC OFF"] : [],
          ...texts.some((text) => /\b(?:execute|exec)\s+as\b|\bsetuser\b/i.test(text)) ? ["REVERT"] : [],
          ...texts.some((text) => /\buse\b/i.test(text)) ? [before.get("the database of USE")!] : []
        ],
        (text) => sql.unsafe(text).unprepared,
        { discard: true }
      )
  }))
