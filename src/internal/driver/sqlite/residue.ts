/**
 * What statements leave behind on a connection, and how it is removed: temporary objects, attached databases, pragmas.
 */
import type { Database } from "./moduleContract.js"
import type { Change } from "./text.js"

const identifier = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

const text = (value: unknown): string => `'${String(value).replaceAll("'", "''")}'`

interface Pragma {
  readonly schema: string | undefined
  readonly name: string
  /** Its value before the first change; `undefined` where SQLite does not tell. */
  readonly before: unknown
}

export class Residue {
  private hasTemp = false
  private hasAttached = false
  private readonly pragmas = new Map<string, Pragma>()

  constructor(private readonly db: Database, private readonly isInMemory: boolean) {}

  get found(): boolean {
    return this.hasTemp || this.hasAttached || this.pragmas.size > 0
  }

  /** To be called before the statement runs. */
  expect(change: Change): void {
    switch (change._tag) {
      case "Temp":
        this.hasTemp = true
        return
      case "Attach":
        this.hasAttached = true
        return
      case "Pragma": {
        const key = `${change.schema}.${change.name}`
        if (!this.pragmas.has(key)) {
          this.pragmas.set(key, {
            schema: change.schema,
            name: change.name,
            before: this.read(change.schema, change.name)
          })
        }
      }
    }
  }

  private read(schema: string | undefined, name: string): unknown {
    // Both are words of a statement that SQLite has prepared; anything else is not read, and so not restored.
    if (!/^[A-Z_]+$/.test(name) || schema !== undefined && !/^[A-Z_][A-Z0-9_]*$/.test(schema)) {
      return undefined
    }
    return this.db.pragma(schema === undefined ? name : `${schema}.${name}`, { simple: true })
  }

  /**
   * Puts everything back. Throws when something cannot be: then the connection has to be closed. An in-memory database
   * lives as long as its connection, so there what cannot be put back stays.
   */
  remove(): void {
    try {
      this.putBack()
    } catch (cause) {
      if (!this.isInMemory) {
        throw cause
      }
    }
  }

  private putBack(): void {
    if (this.hasTemp) {
      this.dropTemp()
      this.hasTemp = false
    }
    for (const [key, pragma] of this.pragmas) {
      this.restore(pragma)
      this.pragmas.delete(key)
    }
    if (this.hasAttached) {
      this.detach()
      this.hasAttached = false
    }
  }

  private dropTemp(): void {
    // Triggers and views first: dropping a table that a view names is no error, but the other way round nothing is left over.
    const objects = this.db.prepare(
      "SELECT type, name FROM temp.sqlite_schema WHERE type IN ('trigger', 'view', 'table') " +
        "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type DESC"
    ).all() as Array<{ readonly type: string; readonly name: string }>
    for (const { name, type } of objects) {
      this.db.exec(`DROP ${type} IF EXISTS temp.${identifier(name)}`)
    }
  }

  private detach(): void {
    const databases = this.db.pragma("database_list") as Array<{ readonly name: string }>
    for (const { name } of databases) {
      if (name !== "main" && name !== "temp") {
        this.db.exec(`DETACH ${identifier(name)}`)
      }
    }
  }

  private restore({ before, name, schema }: Pragma): void {
    if (before === undefined || name === "LOCKING_MODE") {
      if (this.isInMemory) {
        // The pragmas that SQLite does not tell are this one, off when a connection is opened, and such as do nothing.
        if (name === "CASE_SENSITIVE_LIKE") {
          this.db.pragma("case_sensitive_like = OFF")
        }
        return
      }
      throw new Error(`pragma ${name.toLowerCase()} cannot be put back`)
    }
    const path = schema === undefined ? name : `${schema}.${name}`
    this.db.pragma(`${path} = ${text(before)}`)
    if (this.db.pragma(path, { simple: true }) !== before && !this.isInMemory) {
      throw new Error(`pragma ${name.toLowerCase()} could not be put back`)
    }
  }
}
