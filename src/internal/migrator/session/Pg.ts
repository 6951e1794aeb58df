/**
 * The session of PostgreSQL: settings, role, temporary objects, prepared statements, cursors, listeners, locks.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import type { Capture, Difference } from "../SessionState.js"

interface Found {
  readonly kind: "setting" | "user" | "role" | "undo"
  readonly name: string
  readonly value: string
}

/** A 32-bit number as the server's functions take it: catalogs show it without a sign. */
const signed = (column: string) =>
  `CASE WHEN ${column}::bigint > 2147483647 THEN ${column}::bigint - 4294967296 ELSE ${column}::bigint END`

/** What was begun for the session only, each with the statement that ends it. Names are qualified: the path may be empty. */
const look = `SELECT 'setting' AS kind, name::text AS name, setting AS value FROM pg_catalog.pg_settings
    WHERE source = 'session' AND context IN ('user', 'superuser') AND name !~ '^transaction_'
  UNION ALL SELECT 'user', 'session_authorization', session_user::text
  UNION ALL SELECT 'role', 'role', pg_catalog.current_setting('role')
  UNION ALL SELECT 'undo', 'the temporary object ' || relname, 'DROP ' ||
      CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END ||
      ' IF EXISTS pg_temp.' || pg_catalog.quote_ident(relname) || ' CASCADE'
    FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind IN ('r', 'p', 'v', 'S', 'c')
  UNION ALL SELECT 'undo', 'the temporary type ' || typname,
      'DROP TYPE IF EXISTS pg_temp.' || pg_catalog.quote_ident(typname) || ' CASCADE'
    FROM pg_catalog.pg_type WHERE typnamespace = pg_catalog.pg_my_temp_schema() AND typtype IN ('e', 'd')
  UNION ALL SELECT 'undo', 'the temporary function ' || proname,
      'DROP ROUTINE IF EXISTS ' || p.oid::pg_catalog.regprocedure::text || ' CASCADE'
    FROM pg_catalog.pg_proc p WHERE pronamespace = pg_catalog.pg_my_temp_schema()
  UNION ALL SELECT 'undo', 'the prepared statement ' || name, 'DEALLOCATE ' || pg_catalog.quote_ident(name)
    FROM pg_catalog.pg_prepared_statements WHERE from_sql
  UNION ALL SELECT 'undo', 'the cursor ' || name, 'CLOSE ' || pg_catalog.quote_ident(name)
    FROM pg_catalog.pg_cursors WHERE is_holdable
  UNION ALL SELECT 'undo', 'the listener of ' || c, 'UNLISTEN ' || pg_catalog.quote_ident(c)
    FROM pg_catalog.pg_listening_channels() AS c
  UNION ALL SELECT 'undo', 'an advisory lock', 'SELECT pg_catalog.pg_advisory_unlock' ||
      CASE mode WHEN 'ShareLock' THEN '_shared' ELSE '' END || '(' ||
      CASE objsubid WHEN 1 THEN (classid::bigint << 32 | objid::bigint)::text
        ELSE (${signed("classid")})::text || '::integer, ' || (${signed("objid")})::text || '::integer' END || ')'
    FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_catalog.pg_backend_pid()`

const literal = (value: string) =>
  `'${value.replaceAll("'", "''")}'`.replace(/^(?=.*\\)/s, "E").replaceAll("\\", "\\\\")

const set = (name: string, value: string): string =>
  `SELECT pg_catalog.set_config(${literal(name)}, ${literal(value)}, false)`

/** Settings of one's own are in no catalog: only the text that sets one tells its name. */
const ownSettings = (text: string): ReadonlyArray<string> => {
  const name = "\"?[\\w$]+\"?(?:\\s*\\.\\s*\"?[\\w$]+\"?)+"
  const found = [
    ...text.matchAll(new RegExp(`\\b(?:set|reset)\\s+(?:session\\s+)?(${name})`, "gi")),
    ...text.matchAll(/\bset_config\s*\(\s*'([^']+\.[^']+)'/gi)
  ]
  return found.map((match) => match[1]!.replace(/["\s]/g, "").toLowerCase())
}

const settingsOf = (rows: ReadonlyArray<Found>) =>
  new Map(rows.filter(({ kind }) => kind === "setting").map(({ name, value }) => [name, value]))

/** A setting that was not the session's own goes back to what the connection was opened with. */
const changedSettings = (before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): Array<Difference> =>
  [...new Set([...before.keys(), ...now.keys()])].flatMap((name) => {
    const value = before.get(name)
    return value === now.get(name)
      ? []
      : [{ what: `the setting ${name}`, text: value === undefined ? `RESET ${name}` : set(name, value) }]
  })

const differencesOf = (before: ReadonlyArray<Found>, now: ReadonlyArray<Found>): ReadonlyArray<Difference> => {
  const known = new Set(before.map(({ kind, name, value }) => `${kind} ${name} ${value}`))
  const changed = now.filter(({ kind, name, value }) => !known.has(`${kind} ${name} ${value}`))
  // The user first: what follows is done by its right.
  return [
    ...changed.some(({ kind }) => kind === "user") || changed.some(({ kind }) => kind === "role") ?
      [
        {
          what: "the session's user and role",
          text: before.filter(({ kind }) => kind === "user" || kind === "role")
            .map(({ name, value }) => set(name, value)).join("; ")
        }
      ] :
      [],
    ...changedSettings(settingsOf(before), settingsOf(now)),
    ...changed.filter(({ kind }) => kind === "undo").map(({ name, value }) => ({ what: name, text: value }))
  ]
}

export const capture: Capture = (sql: SqlClient.SqlClient) =>
  Effect.gen(function*() {
    const see = Effect.map(sql.unsafe<Found>(look), (rows) => rows)
    const before = yield* see
    const user = before.find(({ kind }) => kind === "user")!.value
    const role = before.find(({ kind }) => kind === "role")!.value
    const own = new Map<string, string | null>()
    return {
      differences: Effect.map(see, (now) => differencesOf(before, now)),
      expect: (texts) =>
        Effect.forEach(new Set(texts.flatMap(ownSettings)), (name) =>
          own.has(name) ? Effect.void : Effect.map(
            sql<{ value: string | null }>`SELECT pg_catalog.current_setting(${name}, true) AS value`,
            ([row]) => own.set(name, row!.value)
          ), { discard: true }),
      undo: (texts) => {
        const names = new Set(texts.filter((text) => !/\bset\s+local\b/i.test(text)).flatMap(ownSettings))
        return [...names].map((name) => {
          const value = own.get(name)
          return value === undefined || value === null
            ? `RESET ${name.split(".").map((part) => `"${part}"`).join(".")}`
            : set(name, value)
        })
      },
      beforeRow: () =>
        Effect.asVoid(Effect.zipRight(
          sql`SELECT pg_catalog.set_config('session_authorization', ${user}, false) WHERE session_user <> ${user}`,
          sql`SELECT pg_catalog.set_config('role', ${role}, false) WHERE pg_catalog.current_setting('role') <> ${role}`
        ))
    }
  })
