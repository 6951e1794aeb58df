/**
 * Views of the server's own state, for tests to see who is connected and what runs.
 *
 * Exports: `registerSystemTables`, `systemTables`.
 */
import type Database from "better-sqlite3"
import { formatDateTime, parseDate } from "../calendar.js"
import type { IsolationLevel } from "../requests.js"
import * as Types from "../types.js"
import type { SqlType, Value } from "../types.js"
import type { Session } from "./session.js"

const isolationNumbers: Readonly<Record<IsolationLevel, bigint>> = {
  "read uncommitted": 1n,
  "read committed": 2n,
  "repeatable read": 3n,
  serializable: 4n,
  snapshot: 5n
}

/** A moment as a datetime has it. */
export const datetimeOf = (date: Date): string => {
  const day = Math.floor(date.getTime() / 86_400_000)
  const ticks = (date.getTime() - day * 86_400_000) * 10_000
  return formatDateTime(parseDate("1970-01-01") + day, Math.round(Math.round(ticks * 3 / 100_000) * 10 / 3) * 10_000)
}

interface SystemTableDefinition {
  readonly columns: ReadonlyArray<{ readonly name: string; readonly type: SqlType }>
  rows(session: Session): Iterable<ReadonlyArray<Value>>
}

const column = (name: string, type: SqlType) => ({ name, type })
const id = (name: string) => column(name, Types.int)
const text = (name: string, length = 128) => column(name, Types.nvarchar(length))

/** By their names in lower case, with the schema. */
export const systemTables: Readonly<Record<string, SystemTableDefinition>> = {
  "sys.dm_exec_sessions": {
    columns: [
      column("session_id", Types.smallint),
      column("login_time", Types.datetime),
      text("host_name"),
      text("program_name"),
      id("host_process_id"),
      text("client_interface_name", 32),
      text("login_name"),
      text("status", 30),
      id("open_transaction_count"),
      column("database_id", Types.smallint),
      column("transaction_isolation_level", Types.smallint),
      id("lock_timeout"),
      column("is_user_process", Types.bit)
    ],
    rows: (session) =>
      session.host.sessions().map((one) => [
        BigInt(one.spid),
        datetimeOf(one.loginTime),
        one.login.hostname,
        one.login.application,
        BigInt(one.login.clientPid),
        one.login.library,
        one.login.user,
        one.running === undefined ? "sleeping" : "running",
        BigInt(one.transactionCount),
        BigInt(one.database.id),
        isolationNumbers[one.isolation],
        BigInt(one.options.lockTimeout),
        1n
      ])
  },
  "sys.dm_exec_requests": {
    columns: [
      column("session_id", Types.smallint),
      column("start_time", Types.datetime),
      text("status", 30),
      text("command", 32),
      column("database_id", Types.smallint),
      column("blocking_session_id", Types.smallint),
      text("wait_type", 60),
      id("open_transaction_count")
    ],
    rows: (session) =>
      session.host.sessions().filter((one) => one.running !== undefined).map((one) => [
        BigInt(one.spid),
        datetimeOf(new Date(one.running!.started)),
        one.waitingFor === undefined ? "running" : "suspended",
        one.running!.command,
        BigInt(one.database.id),
        BigInt(one.waitingFor?.holders()[0]?.spid ?? 0),
        one.waitingFor === undefined ? null : one.waitingFor.name === "application" ? "LCK_M_X" : "LCK_M_IX",
        BigInt(one.transactionCount)
      ])
  },
  "sys.dm_exec_connections": {
    columns: [
      id("session_id"),
      text("encrypt_option", 40),
      text("net_transport", 40),
      text("auth_scheme", 40),
      id("net_packet_size")
    ],
    rows: (session) =>
      session.host.sessions().map((one) => [
        BigInt(one.spid),
        one.login.encrypted ? "TRUE" : "FALSE",
        "TCP",
        "SQL",
        BigInt(one.login.packetSize)
      ])
  },
  "sys.dm_tran_session_transactions": {
    columns: [id("session_id"), column("transaction_id", Types.bigint), column("is_user_transaction", Types.bit)],
    rows: (session) =>
      session.host.sessions().filter((one) => one.transactionCount > 0).map((one) => [
        BigInt(one.spid),
        one.descriptor,
        1n
      ])
  },
  "sys.dm_tran_locks": {
    columns: [
      text("resource_type", 60),
      id("resource_database_id"),
      text("resource_description", 256),
      text("request_mode", 60),
      text("request_status", 60),
      id("request_session_id")
    ],
    *rows(session) {
      for (const database of session.host.databases()) {
        for (const [resource, { held }] of database.applicationLocks) {
          for (const { exclusive, owner } of held) {
            yield [
              "APPLICATION",
              BigInt(database.id),
              `0:[${resource}]:(00000000)`,
              exclusive ? "X" : "S",
              "GRANT",
              BigInt(owner.spid)
            ]
          }
        }
        if (database.writer !== undefined) {
          yield ["DATABASE", BigInt(database.id), "", "X", "GRANT", BigInt(database.writer.spid)]
        }
      }
    }
  },
  "sys.databases": {
    columns: [
      text("name"),
      id("database_id"),
      column("is_read_only", Types.bit),
      column("snapshot_isolation_state", Types.tinyint),
      column("is_read_committed_snapshot_on", Types.bit)
    ],
    rows: (session) => session.host.databases().map((one) => [one.name, BigInt(one.id), one.readOnly ? 1n : 0n, 1n, 1n])
  },
  "sys.schemas": {
    columns: [text("name"), id("schema_id")],
    rows: (session) => session.definitions.schemas.map((name, i) => [name, BigInt(i + 1)])
  },
  "sys.tables": {
    columns: [text("name"), id("object_id"), id("schema_id")],
    rows: (session) => {
      const schemas = session.definitions.schemas.map((name) => name.toLowerCase())
      return session.definitions.tables.filter((one) => !one.temporary).map((one) => [
        one.name,
        BigInt(one.id),
        BigInt(schemas.indexOf(one.schema.toLowerCase()) + 1)
      ])
    }
  },
  "sys.columns": {
    columns: [
      id("object_id"),
      text("name"),
      id("column_id"),
      column("is_nullable", Types.bit),
      column("is_identity", Types.bit)
    ],
    rows: (session) =>
      session.definitions.tables.flatMap((table) =>
        table.columns.map((one, i) => [
          BigInt(table.id),
          one.name,
          BigInt(i + 1),
          one.nullable ? 1n : 0n,
          one.identity === undefined ? 0n : 1n
        ])
      )
  },
  "sys.indexes": {
    columns: [
      id("object_id"),
      text("name"),
      column("is_unique", Types.bit),
      column("is_primary_key", Types.bit),
      column("is_unique_constraint", Types.bit)
    ],
    rows: (session) =>
      session.definitions.tables.flatMap((table) => [
        ...table.keys.map((key) => [
          BigInt(table.id),
          key.name,
          1n,
          key.kind === "primary" ? 1n : 0n,
          key.kind === "unique" ? 1n : 0n
        ]),
        ...table.indexes.map((name) => [BigInt(table.id), name, 0n, 0n, 0n])
      ])
  },
  "information_schema.tables": {
    columns: [text("TABLE_CATALOG"), text("TABLE_SCHEMA"), text("TABLE_NAME"), text("TABLE_TYPE", 10)],
    rows: (session) =>
      session.definitions.tables.filter((one) => !one.temporary).map((one) => [
        session.database.name,
        one.schema,
        one.name,
        "BASE TABLE"
      ])
  },
  "information_schema.columns": {
    columns: [
      text("TABLE_SCHEMA"),
      text("TABLE_NAME"),
      text("COLUMN_NAME"),
      id("ORDINAL_POSITION"),
      text("IS_NULLABLE", 3),
      text("DATA_TYPE"),
      id("CHARACTER_MAXIMUM_LENGTH"),
      column("NUMERIC_PRECISION", Types.tinyint),
      id("NUMERIC_SCALE")
    ],
    rows: (session) =>
      session.definitions.tables.filter((one) => !one.temporary).flatMap((table) =>
        table.columns.map((one, i) => [
          table.schema,
          table.name,
          one.name,
          BigInt(i + 1),
          one.nullable ? "YES" : "NO",
          one.type.kind,
          Types.isString(one.type) || Types.isBinary(one.type) ? BigInt(one.type.length) : null,
          one.type.kind === "decimal" ? BigInt(one.type.precision) : null,
          one.type.kind === "decimal" ? BigInt(one.type.scale) : null
        ])
      )
  }
}

/** Makes the views known to a session's connection. */
export const registerSystemTables = (db: Database.Database, session: Session): void => {
  for (const [name, definition] of Object.entries(systemTables)) {
    db.table(name, {
      columns: definition.columns.map((one) => one.name),
      safeIntegers: true,
      *rows() {
        for (const row of definition.rows(session)) yield row as Array<unknown>
      }
    })
  }
}
