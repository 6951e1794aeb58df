/**
 * The session of SQLite: pragmas, temporary objects, attached databases.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { Capture, Difference } from "../SessionState.js"

/** Pragmas of the connection whose value can be asked for in a SELECT. Those of the file are not the session's. */
const selectable = [
  "foreign_keys",
  "recursive_triggers",
  "ignore_check_constraints",
  "legacy_alter_table",
  "query_only",
  "reverse_unordered_selects",
  "secure_delete",
  "trusted_schema",
  "writable_schema",
  "read_uncommitted",
  "automatic_index",
  "cell_size_check",
  "checkpoint_fullfsync",
  "fullfsync",
  "count_changes",
  "full_column_names",
  "short_column_names",
  "empty_result_callbacks",
  "journal_size_limit",
  "max_page_count",
  "soft_heap_limit",
  "hard_heap_limit",
  "analysis_limit",
  "threads",
  "cache_spill",
  "cache_size",
  "synchronous",
  "temp_store",
  "busy_timeout",
  "locking_mode"
]

/** Pragmas that answer by themselves only. */
const askable = ["mmap_size", "wal_autocheckpoint"]

const identifier = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

interface Found {
  readonly pragmas: ReadonlyMap<string, string>
  /** What was made for the connection only, each with the statement that removes it. */
  readonly objects: ReadonlyMap<string, string>
}

const look = (sql: SqlClient.SqlClient, names: ReadonlyArray<string>): Effect.Effect<Found, SqlError> =>
  Effect.gen(function*() {
    const pragmas = new Map<string, string>()
    const [row] = yield* sql.unsafe<Record<string, unknown>>(
      `SELECT 'a' LIKE 'A' AS like_ignores_case, ${
        names.map((name) => `(SELECT * FROM pragma_${name}) AS ${name}`).join(", ")
      }`
    ).unprepared
    for (const name of names) {
      pragmas.set(name, String(row![name]))
    }
    pragmas.set("case_sensitive_like", Number(row!["like_ignores_case"]) === 1 ? "0" : "1")
    for (const name of askable) {
      const [answer] = yield* sql.unsafe<Record<string, unknown>>(`PRAGMA ${name}`).unprepared
      // One that this build does not have answers nothing.
      if (answer !== undefined) {
        pragmas.set(name, String(Object.values(answer)[0]))
      }
    }
    const objects = new Map<string, string>()
    const made = yield* sql.unsafe<{ type: string; name: string }>(
      "SELECT type, name FROM temp.sqlite_schema WHERE type IN ('trigger', 'view', 'table') " +
        "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type DESC"
    ).unprepared
    for (const { name, type } of made) {
      objects.set(`the temporary ${type} ${name}`, `DROP ${type} IF EXISTS temp.${identifier(name)}`)
    }
    const attached = yield* sql.unsafe<{ name: string }>("SELECT name FROM pragma_database_list").unprepared
    for (const { name } of attached) {
      if (name !== "main" && name !== "temp") {
        objects.set(`the attached database ${name}`, `DETACH ${identifier(name)}`)
      }
    }
    return { pragmas, objects }
  })

const differencesOf = (before: Found, now: Found): ReadonlyArray<Difference> => [
  ...[...now.objects].filter(([what]) => !before.objects.has(what)).map(([what, text]) => ({ what, text })),
  ...[...before.pragmas].filter(([name, value]) => now.pragmas.get(name) !== value).map(([name, value]) => ({
    what: `the pragma ${name}`,
    text: `PRAGMA ${name} = ${value}`
  }))
]

export const capture: Capture = (sql) =>
  Effect.gen(function*() {
    const list = yield* sql.unsafe<{ name: string }>("SELECT name FROM pragma_pragma_list").unprepared
    const known = new Set(list.map(({ name }) => name))
    const see = look(sql, selectable.filter((name) => known.has(name)))
    const before = yield* see
    return { differences: Effect.map(see, (now) => differencesOf(before, now)) }
  })
