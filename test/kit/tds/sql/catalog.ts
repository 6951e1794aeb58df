/**
 * What tables there are, kept in a table of SQLite so that a rollback takes definitions back too.
 *
 * Exports: `TableInfo`, `Catalog`, `tableStatements`, `sqliteName`, `quote`.
 */
import type Database from "better-sqlite3"
import { parseTypeText, type SqlType, typeText } from "../types.js"
import type { ObjectName } from "./ast.js"

export interface ColumnInfo {
  readonly name: string
  readonly type: SqlType
  readonly nullable: boolean
  readonly identity: { readonly seed: bigint; readonly step: bigint } | undefined
  /** The T-SQL text of its default. */
  readonly default: string | undefined
}

export interface KeyInfo {
  readonly name: string
  /** `index`: a unique index, whose violation is 2601 rather than 2627. */
  readonly kind: "primary" | "unique" | "index"
  readonly columns: ReadonlyArray<string>
}

export interface ForeignInfo {
  readonly name: string
  readonly columns: ReadonlyArray<string>
  /** The SQLite name of the table referred to. */
  readonly table: string
  readonly references: ReadonlyArray<string>
  readonly cascade: boolean
}

export interface TableInfo {
  /** The name in SQLite. */
  readonly sqlite: string
  readonly schema: string
  readonly name: string
  readonly temporary: boolean
  readonly id: number
  readonly columns: ReadonlyArray<ColumnInfo>
  readonly keys: ReadonlyArray<KeyInfo>
  /** `sqlite`: the condition as SQLite takes it. */
  readonly checks: ReadonlyArray<{ readonly name: string; readonly sqlite: string }>
  readonly foreign: ReadonlyArray<ForeignInfo>
  /** Indexes that are not unique: kept for their names alone. */
  readonly indexes: ReadonlyArray<string>
}

export const quote = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

/** A table's name in SQLite: the default schema's tables have their own name, others the schema's before it. */
export const sqliteName = (name: ObjectName): string =>
  name.name.startsWith("#") || name.schema === undefined || name.schema.toLowerCase() === "dbo"
    ? name.name
    : `${name.schema}.${name.name}`

const location = (info: { readonly temporary: boolean; readonly sqlite: string }): string =>
  info.temporary ? `temp.${quote(info.sqlite)}` : `main.${quote(info.sqlite)}`

const encode = (info: TableInfo): string =>
  JSON.stringify(info, (key, value) => {
    if (typeof value === "bigint") return value.toString()
    return key === "type" ? typeText(value as SqlType) : value as unknown
  })

const decode = (text: string): TableInfo =>
  JSON.parse(text, (key, value: unknown) => {
    if (key === "type") return parseTypeText(value as string)
    if (key === "seed" || key === "step") return BigInt(value as string)
    return value
  }) as TableInfo

/** A unique index: two NULLs are equal on SQL Server, so a NULL has a stand-in that no value equals. */
const uniqueIndex = (info: TableInfo, key: KeyInfo): string => {
  const columns = key.columns.map((name) => {
    const column = info.columns.find((_) => _.name.toLowerCase() === name.toLowerCase())!
    return column.nullable ? `ifnull(${quote(column.name)}, x'00ff4e554c4c00ff')` : quote(column.name)
  })
  return `CREATE UNIQUE INDEX ${info.temporary ? "temp." : ""}${quote(`${info.sqlite}/${key.name}`)} ON ${
    quote(info.sqlite)
  } (${columns.join(", ")})`
}

/** The triggers that keep one foreign key. */
const foreignTriggers = (info: TableInfo, key: ForeignInfo): ReadonlyArray<string> => {
  const name = (suffix: string): string => quote(`${info.sqlite}/${key.name}/${suffix}`)
  const child = quote(info.sqlite)
  const parent = quote(key.table)
  const given = key.columns.map((_) => `NEW.${quote(_)} IS NOT NULL`).join(" AND ")
  const found = key.columns.map((_, i) => `${quote(key.references[i]!)} = NEW.${quote(_)}`).join(" AND ")
  const children = key.columns.map((_, i) => `${quote(_)} = OLD.${quote(key.references[i]!)}`).join(" AND ")
  const moved = key.references.map((_) => `OLD.${quote(_)} IS NOT NEW.${quote(_)}`).join(" OR ")
  const text = (message: string): string => `'${message.replaceAll("'", "''")}'`
  const missing = `SELECT RAISE(ABORT, ${text(`foreign:${key.name}:${info.sqlite}`)})`
  const referenced = `SELECT RAISE(ABORT, ${text(`reference:${key.name}:${info.sqlite}`)})`
  return [
    `CREATE TRIGGER ${
      name("insert")
    } AFTER INSERT ON ${child} WHEN ${given} AND NOT EXISTS (SELECT 1 FROM ${parent} WHERE ${found}) BEGIN ${missing}; END`,
    `CREATE TRIGGER ${
      name("update")
    } AFTER UPDATE ON ${child} WHEN ${given} AND NOT EXISTS (SELECT 1 FROM ${parent} WHERE ${found}) BEGIN ${missing}; END`,
    key.cascade
      ? `CREATE TRIGGER ${name("delete")} AFTER DELETE ON ${parent} BEGIN DELETE FROM ${child} WHERE ${children}; END`
      : `CREATE TRIGGER ${
        name("delete")
      } AFTER DELETE ON ${parent} WHEN EXISTS (SELECT 1 FROM ${child} WHERE ${children}) BEGIN ${referenced}; END`,
    `CREATE TRIGGER ${
      name("move")
    } AFTER UPDATE ON ${parent} WHEN (${moved}) AND EXISTS (SELECT 1 FROM ${child} WHERE ${children}) BEGIN ${referenced}; END`
  ]
}

/** The statements that make a table under a given name. Triggers come last: {@link Catalog.define} adds them. */
const createTable = (info: TableInfo, name: string): string => {
  const parts = info.columns.map((column) => quote(column.name) + (column.nullable ? "" : " NOT NULL"))
  for (const check of info.checks) parts.push(`CONSTRAINT ${quote(check.name)} CHECK (${check.sqlite})`)
  return `CREATE TABLE ${info.temporary ? "temp" : "main"}.${quote(name)} (${parts.join(", ")})`
}

/** The definitions as one connection to a database sees them. */
export class Catalog {
  constructor(private readonly db: Database.Database) {
    db.exec(`CREATE TEMP TABLE "$tables" (name TEXT PRIMARY KEY COLLATE NOCASE, info TEXT NOT NULL)`)
  }

  /** Makes a new file ready. */
  static initialize(db: Database.Database): void {
    db.exec(
      `CREATE TABLE "$catalog" (name TEXT PRIMARY KEY COLLATE NOCASE, info TEXT NOT NULL);
      CREATE TABLE "$schemas" (name TEXT PRIMARY KEY COLLATE NOCASE);
      CREATE TABLE "$denied" (user TEXT COLLATE NOCASE, name TEXT COLLATE NOCASE, action TEXT, PRIMARY KEY (user, name, action));
      CREATE TABLE "$counter" (next INTEGER NOT NULL);
      INSERT INTO "$counter" VALUES (1000);
      INSERT INTO "$schemas" VALUES ('dbo'), ('sys'), ('INFORMATION_SCHEMA'), ('guest')`
    )
  }

  private store(temporary: boolean): string {
    return temporary ? `temp."$tables"` : `main."$catalog"`
  }

  find(name: string): TableInfo | undefined {
    const text = this.db.prepare(`SELECT info FROM ${this.store(name.startsWith("#"))} WHERE name = ?`).pluck().get(
      name
    ) as string | undefined
    return text === undefined ? undefined : decode(text)
  }

  all(): ReadonlyArray<TableInfo> {
    return (this.db.prepare(`SELECT info FROM main."$catalog" UNION ALL SELECT info FROM temp."$tables"`).pluck()
      .all() as Array<string>).map(decode)
  }

  /** A number that no object has yet. */
  nextId(): number {
    this.db.prepare(`UPDATE "$counter" SET next = next + 1`).run()
    return Number(this.db.prepare(`SELECT next FROM "$counter"`).pluck().get())
  }

  schemaExists(name: string): boolean {
    return this.db.prepare(`SELECT 1 FROM "$schemas" WHERE name = ?`).get(name) !== undefined
  }

  addSchema(name: string): void {
    this.db.prepare(`INSERT INTO "$schemas" VALUES (?)`).run(name)
  }

  schemas(): ReadonlyArray<string> {
    return this.db.prepare(`SELECT name FROM "$schemas"`).pluck().all() as Array<string>
  }

  isDenied(user: string, table: string, action: string): boolean {
    return this.db.prepare(`SELECT 1 FROM "$denied" WHERE user = ? AND name = ? AND action = ?`).get(
      user,
      table,
      action
    ) !== undefined
  }

  setDenied(user: string, table: string, action: string, denied: boolean): void {
    this.db.prepare(
      denied
        ? `INSERT OR REPLACE INTO "$denied" VALUES (?, ?, ?)`
        : `DELETE FROM "$denied" WHERE user = ? AND name = ? AND action = ?`
    ).run(user, table, action)
  }

  /** Who refers to a table. */
  referring(name: string): ReadonlyArray<{ readonly info: TableInfo; readonly key: ForeignInfo }> {
    return this.all().flatMap((info) =>
      info.foreign.filter((key) => key.table.toLowerCase() === name.toLowerCase()).map((key) => ({ info, key }))
    )
  }

  /** Makes a table, or makes it anew with its rows when its definition has changed. */
  define(info: TableInfo, previous: TableInfo | undefined, fill: (column: ColumnInfo) => string): void {
    const name = previous === undefined ? info.sqlite : `${info.sqlite}/new`
    if (previous !== undefined) this.dropForeign(previous)
    this.db.exec(createTable(info, name))
    if (previous !== undefined) {
      const columns = info.columns.map((_) => quote(_.name)).join(", ")
      const values = info.columns.map((column) =>
        previous.columns.some((_) => _.name === column.name) ? quote(column.name) : fill(column)
      )
      this.db.exec(`INSERT INTO ${quote(name)} (${columns}) SELECT ${values.join(", ")} FROM ${location(previous)}`)
      this.db.exec(`DROP TABLE ${location(previous)}`)
      this.db.exec(`ALTER TABLE ${info.temporary ? "temp" : "main"}.${quote(name)} RENAME TO ${quote(info.sqlite)}`)
    }
    for (const key of info.keys) this.db.exec(uniqueIndex(info, key))
    for (const key of info.foreign) for (const trigger of foreignTriggers(info, key)) this.db.exec(trigger)
    if (previous !== undefined) {
      // Those of other tables that stood on the old table went with it.
      for (const other of this.referring(info.sqlite)) {
        if (other.info.sqlite.toLowerCase() === info.sqlite.toLowerCase()) continue
        for (const trigger of foreignTriggers(other.info, other.key)) {
          this.db.exec(trigger.replace("CREATE TRIGGER ", "CREATE TRIGGER IF NOT EXISTS "))
        }
      }
    }
    this.db.prepare(`INSERT OR REPLACE INTO ${this.store(info.temporary)} VALUES (?, ?)`).run(info.sqlite, encode(info))
  }

  /** The triggers of a table's foreign keys that stand on the tables referred to. */
  private dropForeign(info: TableInfo): void {
    for (const key of info.foreign) {
      for (const suffix of ["delete", "move"]) {
        this.db.exec(`DROP TRIGGER IF EXISTS ${quote(`${info.sqlite}/${key.name}/${suffix}`)}`)
      }
    }
  }

  drop(info: TableInfo): void {
    this.dropForeign(info)
    this.db.exec(`DROP TABLE ${location(info)}`)
    this.db.prepare(`DELETE FROM ${this.store(info.temporary)} WHERE name = ?`).run(info.sqlite)
  }
}
