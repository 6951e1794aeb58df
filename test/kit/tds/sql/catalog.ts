/** What tables there are, kept in a table of SQLite so that a rollback takes definitions back too. */
import type Database from "better-sqlite3"
import { parseTypeText, type SqlType, typeText, unsupported } from "../types.js"
import type { ObjectName } from "./cursor.js"
import { literal, quote, same } from "./scope.js"

export interface ColumnInfo {
  readonly name: string
  readonly type: SqlType
  readonly nullable: boolean
  /** 1, 2, 3 and so on. */
  readonly identity?: true
  /** The T-SQL text of its default. */
  readonly default?: string | undefined
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
  /** The table referred to. */
  readonly table: string
  readonly references: ReadonlyArray<string>
}

export interface TableInfo {
  readonly name: string
  /** The name as SQLite's SQL has it. */
  readonly place: string
  readonly temporary: boolean
  readonly id: number
  readonly columns: ReadonlyArray<ColumnInfo>
  readonly keys: ReadonlyArray<KeyInfo>
  /** `sqlite`: the condition as SQLite takes it. */
  readonly checks: ReadonlyArray<{ readonly name: string; readonly sqlite: string }>
  readonly foreign: ReadonlyArray<ForeignInfo>
}

/** What a name is in SQLite. There is one schema. */
export const named = ({ name, schema }: ObjectName) => {
  if (schema !== undefined && !same(schema, "dbo")) throw unsupported(`the schema ${schema}`)
  const temporary = name.startsWith("#")
  return { name, temporary, place: `${temporary ? "temp" : "main"}.${quote(name)}` }
}

const encode = (info: TableInfo): string =>
  JSON.stringify(info, (key, value: unknown) => key === "type" ? typeText(value as SqlType) : value)

const decode = (text: string): TableInfo =>
  // Written by `encode`.
  JSON.parse(text, (key, value: unknown) => key === "type" ? parseTypeText(value as string) : value) as TableInfo

/**
 * A unique index. Two NULLs are equal on SQL Server, so a NULL has a stand-in that no value equals; SQLite names the index
 * in its complaint only where it has an expression.
 */
const uniqueIndex = (info: TableInfo, key: KeyInfo): string => {
  const columns = key.columns.map((name) => {
    const { nullable } = info.columns.find((column) => same(column.name, name))!
    return nullable ? `ifnull(${quote(name)}, x'00ff4e554c4c00ff')` : quote(name)
  })
  return `CREATE UNIQUE INDEX ${info.temporary ? "temp" : "main"}.${quote(`${info.name}/${key.name}`)} ON ${
    quote(info.name)
  } (${columns.join(", ")}, (${quote(key.columns[0]!)} IS NULL))`
}

/** The triggers that keep one foreign key: SQLite's own refusal would not name it. */
const foreignTriggers = (info: TableInfo, key: ForeignInfo): ReadonlyArray<string> => {
  const [child, parent] = [quote(info.name), quote(key.table)]
  const given = key.columns.map((one) => `NEW.${quote(one)} IS NOT NULL`).join(" AND ")
  const found = key.columns.map((one, i) => `${quote(key.references[i]!)} = NEW.${quote(one)}`).join(" AND ")
  const children = key.columns.map((one, i) => `${quote(one)} = OLD.${quote(key.references[i]!)}`).join(" AND ")
  const trigger = (what: string, on: string, condition: string, kind: string): string =>
    `CREATE TRIGGER ${
      quote(`${info.name}/${key.name}/${what}`)
    } AFTER ${what} ON ${on} WHEN ${condition} BEGIN SELECT ${`RAISE(ABORT, ${
      literal(`${kind}:${key.name}:${info.name}`)
    })`}; END`
  const missing = `${given} AND NOT EXISTS (SELECT 1 FROM ${parent} WHERE ${found})`
  return [
    trigger("INSERT", child, missing, "FOREIGN KEY"),
    trigger("UPDATE", child, missing, "FOREIGN KEY"),
    trigger("DELETE", parent, `EXISTS (SELECT 1 FROM ${child} WHERE ${children})`, "REFERENCE")
  ]
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
      CREATE TABLE "$counter" (next INTEGER NOT NULL);
      INSERT INTO "$counter" VALUES (1000)`
    )
  }

  find(object: ObjectName): TableInfo | undefined {
    const { name, temporary } = named(object)
    const text = this.db.prepare(`SELECT info FROM ${this.#store(temporary)} WHERE name = ?`).pluck().get(name)
    return text === undefined ? undefined : decode(text as string)
  }

  #store(temporary: boolean): string {
    return temporary ? `temp."$tables"` : `main."$catalog"`
  }

  all(): ReadonlyArray<TableInfo> {
    const texts = this.db.prepare(`SELECT info FROM "$catalog" UNION ALL SELECT info FROM "$tables"`).pluck().all()
    return (texts as Array<string>).map(decode)
  }

  /** A number that no object has yet. */
  nextId(): number {
    return this.db.prepare(`UPDATE "$counter" SET next = next + 1 RETURNING next`).pluck().get() as number
  }

  /** Makes a table. */
  create(info: TableInfo): void {
    const parts = info.columns.map(({ name, nullable }) => quote(name) + (nullable ? "" : " NOT NULL"))
    for (const check of info.checks) parts.push(`CONSTRAINT ${quote(check.name)} CHECK (${check.sqlite})`)
    this.db.exec(`CREATE TABLE ${info.place} (${parts.join(", ")})`)
    for (const key of info.keys) this.db.exec(uniqueIndex(info, key))
    for (const trigger of info.foreign.flatMap((key) => foreignTriggers(info, key))) this.db.exec(trigger)
    this.#keep(info)
  }

  #keep(info: TableInfo): void {
    this.db.prepare(`INSERT OR REPLACE INTO ${this.#store(info.temporary)} VALUES (?, ?)`).run(
      info.name,
      encode(info)
    )
  }

  addKey(info: TableInfo, key: KeyInfo): void {
    this.db.exec(uniqueIndex(info, key))
    this.#keep({ ...info, keys: [...info.keys, key] })
  }

  drop(info: TableInfo): void {
    for (const key of info.foreign) this.db.exec(`DROP TRIGGER IF EXISTS ${quote(`${info.name}/${key.name}/DELETE`)}`)
    this.db.exec(`DROP TABLE ${info.place}`)
    this.db.prepare(`DELETE FROM ${this.#store(info.temporary)} WHERE name = ?`).run(info.name)
  }
}
