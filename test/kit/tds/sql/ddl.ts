/**
 * Tables, indexes, schemas and permissions.
 *
 * Exports: `runDdl`.
 */
import { TsqlError, unsupported } from "../types.js"
import type { ColumnDefinition, ConstraintDefinition, ObjectName, Statement } from "./ast.js"
import { type Catalog, type ColumnInfo, type KeyInfo, sqliteName, type TableInfo } from "./catalog.js"
import { compilePredicate } from "./compile.js"
import { Cursor } from "./cursor.js"
import type { Identities } from "./database.js"
import { defaultOf } from "./dml.js"
import { tokenize } from "./lexer.js"
import { tableSource } from "./query.js"
import { parsePredicate } from "./queryParser.js"
import { type Context, makeScope } from "./scope.js"

export type DdlStatement = Extract<
  Statement,
  {
    tag:
      | "createTable"
      | "alterTable"
      | "dropTable"
      | "createIndex"
      | "dropIndex"
      | "createSchema"
      | "permission"
      | "truncate"
  }
>

/** What changing definitions needs of the session. */
export interface DdlHost {
  readonly catalog: Catalog
  readonly context: Context
  readonly database: string
  readonly execute: (sql: string) => void
  /** The value of an expression without columns, as a literal. */
  readonly literal: (sql: string) => string
  readonly identities: (temporary: boolean) => Identities
  readonly created: (table: TableInfo) => void
  readonly dropped: (table: TableInfo) => void
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

const suffix = (id: number): string => id.toString(16).toUpperCase().padStart(8, "0")

const column = (definition: ColumnDefinition): ColumnInfo => ({
  name: definition.name,
  type: definition.type,
  nullable: definition.nullable ?? true,
  identity: definition.identity,
  default: definition.default
})

const checkSql = (host: DdlHost, columns: ReadonlyArray<ColumnInfo>, text: string): string => {
  const predicate = parsePredicate(new Cursor(tokenize(text), text))
  const source = tableSource(columns, "t")
  // Values cannot be bound in a definition: they are written out.
  const context: Context = { ...host.context, parameters: {} }
  let sql = compilePredicate(
    context,
    makeScope([{
      ...source,
      columns: source.columns.map((one) => ({ ...one, sql: `"${one.name.replaceAll("\"", "\"\"")}"` }))
    }], undefined),
    predicate
  )
  for (const [name, value] of Object.entries(context.parameters).reverse()) {
    const literal = typeof value === "string"
      ? `'${value.replaceAll("'", "''")}'`
      : Buffer.isBuffer(value)
      ? `x'${value.toString("hex")}'`
      : String(value)
    sql = sql.replaceAll(`:${name}`, literal)
  }
  return sql
}

/** Adds constraints to a table's definition; the names that are not given are made up, as on the server. */
const constrain = (
  host: DdlHost,
  table: TableInfo,
  constraints: ReadonlyArray<ConstraintDefinition>
): TableInfo => {
  let result = table
  constraints.forEach((constraint, i) => {
    const id = suffix(table.id * 64 + i)
    const taken = (name: string): boolean =>
      host.catalog.all().concat(result).some((one) =>
        !one.temporary && [...one.keys, ...one.checks, ...one.foreign].some((_) => same(_.name, name))
      )
    if (constraint.name !== undefined && !table.temporary && taken(constraint.name)) {
      throw new TsqlError(2714, `There is already an object named '${constraint.name}' in the database.`, 16, 5)
    }
    switch (constraint.tag) {
      case "key": {
        const names = constraint.columns.map((name) => {
          const found = result.columns.find((one) => same(one.name, name))
          if (found === undefined) {
            throw new TsqlError(1911, `Column name '${name}' does not exist in the target table or view.`)
          }
          return found.name
        })
        if (constraint.primary) {
          if (result.keys.some((key) => key.kind === "primary")) {
            throw new TsqlError(1779, `Table '${table.name}' already has a primary key defined on it.`, 16, 0)
          }
          result = {
            ...result,
            columns: result.columns.map((one) => names.includes(one.name) ? { ...one, nullable: false } : one)
          }
        }
        const key: KeyInfo = {
          name: constraint.name ?? `${constraint.primary ? "PK" : "UQ"}__${table.name.slice(0, 9)}__${id}`,
          kind: constraint.primary ? "primary" : "unique",
          columns: names
        }
        result = { ...result, keys: [...result.keys, key] }
        break
      }
      case "check":
        result = {
          ...result,
          checks: [...result.checks, {
            name: constraint.name ?? `CK__${table.name.slice(0, 9)}__${id}`,
            sqlite: checkSql(host, result.columns, constraint.text)
          }]
        }
        break
      case "foreign": {
        if (table.temporary) throw unsupported("a foreign key of a temporary table")
        const referred = same(sqliteName(constraint.table), table.sqlite)
          ? result
          : host.catalog.find(sqliteName(constraint.table))
        if (referred === undefined) {
          throw new TsqlError(
            1767,
            `Foreign key '${constraint.name ?? id}' references invalid table '${constraint.table.name}'.`,
            16,
            0
          )
        }
        const references = constraint.references === constraint.columns
          ? referred.keys.find((key) => key.kind === "primary")?.columns ?? []
          : constraint.references
        const unique = referred.keys.some((key) =>
          key.columns.length === references.length && key.columns.every((name) => references.some((_) => same(_, name)))
        )
        if (!unique) {
          throw new TsqlError(
            1776,
            `There are no primary or candidate keys in the referenced table '${constraint.table.name}' that match the referencing column list in the foreign key '${
              constraint.name ?? id
            }'.`,
            16,
            0
          )
        }
        result = {
          ...result,
          foreign: [...result.foreign, {
            name: constraint.name ?? `FK__${table.name.slice(0, 9)}__${constraint.columns[0]!.slice(0, 9)}__${id}`,
            columns: constraint.columns,
            table: referred.sqlite,
            references,
            cascade: constraint.cascade
          }]
        }
      }
    }
  })
  return result
}

const existing = (host: DdlHost, name: ObjectName, error: () => TsqlError): TableInfo => {
  const table = host.catalog.find(sqliteName(name))
  if (table === undefined) throw error()
  return table
}

const full = (name: ObjectName): string => `${name.schema === undefined ? "" : `${name.schema}.`}${name.name}`

/** Changes definitions. The caller holds the write lock and takes everything back when this fails. */
export const runDdl = (host: DdlHost, statement: DdlStatement): void => {
  const { catalog } = host
  switch (statement.tag) {
    case "createTable": {
      const { table } = statement
      const sqlite = sqliteName(table)
      if (table.schema !== undefined && !catalog.schemaExists(table.schema)) {
        throw new TsqlError(
          2760,
          `The specified schema name "${table.schema}" either does not exist or you do not have permission to use it.`
        )
      }
      if (catalog.find(sqlite) !== undefined) {
        throw new TsqlError(2714, `There is already an object named '${table.name}' in the database.`, 16, 6)
      }
      const names = statement.columns.map((_) => _.name.toLowerCase())
      const twice = names.find((name, i) => names.indexOf(name) !== i)
      if (twice !== undefined) {
        throw new TsqlError(
          2705,
          `Column names in each table must be unique. Column name '${twice}' in table '${table.name}' is specified more than once.`,
          16,
          3
        )
      }
      const temporary = table.name.startsWith("#")
      if (table.name.startsWith("##")) throw unsupported("global temporary tables", table.line)
      const info = constrain(host, {
        sqlite,
        schema: temporary ? "dbo" : table.schema ?? "dbo",
        name: table.name,
        temporary,
        id: catalog.nextId(),
        columns: statement.columns.map(column),
        keys: [],
        checks: [],
        foreign: [],
        indexes: []
      }, statement.constraints)
      catalog.define(info, undefined, () => "NULL")
      for (const one of info.columns) {
        if (one.identity !== undefined) {
          const { seed, step } = one.identity
          host.identities(temporary).set(sqlite.toLowerCase(), { next: seed, step })
        }
      }
      host.created(info)
      return
    }
    case "alterTable": {
      const { change, table: name } = statement
      const table = existing(host, name, () =>
        new TsqlError(
          4902,
          `Cannot find the object "${full(name)}" because it does not exist or you do not have permissions.`
        ))
      if (change.tag === "add") {
        const added = change.columns.map(column)
        for (const one of added) {
          if (table.columns.some((_) => same(_.name, one.name))) {
            throw new TsqlError(
              2705,
              `Column names in each table must be unique. Column name '${one.name}' in table '${table.name}' is specified more than once.`,
              16,
              4
            )
          }
          if (one.identity !== undefined) throw unsupported("ALTER TABLE ADD with IDENTITY", statement.line)
        }
        const changed = constrain(host, { ...table, columns: [...table.columns, ...added] }, change.constraints)
        catalog.define(changed, table, (one) =>
          // A nullable column that is added stays NULL in the rows that are there.
          one.nullable ? "NULL" : host.literal(defaultOf(host.context, one).sql))
        return
      }
      if (change.tag === "dropColumn") {
        if (!table.columns.some((_) => same(_.name, change.name))) {
          throw new TsqlError(
            4924,
            `ALTER TABLE DROP COLUMN failed because column '${change.name}' does not exist in table '${table.name}'.`
          )
        }
        const used = [...table.keys, ...table.foreign].find((key) => key.columns.some((_) => same(_, change.name)))
        if (used !== undefined) {
          throw new TsqlError(5074, `The object '${used.name}' is dependent on column '${change.name}'.`)
        }
        catalog.define(
          { ...table, columns: table.columns.filter((_) => !same(_.name, change.name)) },
          table,
          () => "NULL"
        )
        return
      }
      const without = <A extends { readonly name: string }>(list: ReadonlyArray<A>): ReadonlyArray<A> =>
        list.filter((_) => !same(_.name, change.name))
      const changed: TableInfo = {
        ...table,
        keys: table.keys.filter((_) => _.kind === "index" || !same(_.name, change.name)),
        checks: without(table.checks),
        foreign: without(table.foreign)
      }
      const count = (one: TableInfo): number => one.keys.length + one.checks.length + one.foreign.length
      if (count(changed) === count(table)) {
        throw new TsqlError(3728, `'${change.name}' is not a constraint.`)
      }
      catalog.define(changed, table, () => "NULL")
      return
    }
    case "dropTable": {
      for (const name of statement.tables) {
        const table = catalog.find(sqliteName(name))
        if (table === undefined) {
          if (statement.ifExists) continue
          throw new TsqlError(
            3701,
            `Cannot drop the table '${full(name)}', because it does not exist or you do not have permission.`,
            11,
            5
          )
        }
        if (catalog.referring(table.sqlite).some((one) => !same(one.info.sqlite, table.sqlite))) {
          throw new TsqlError(
            3726,
            `Could not drop object '${full(name)}' because it is referenced by a FOREIGN KEY constraint.`
          )
        }
        catalog.drop(table)
        host.dropped(table)
      }
      return
    }
    case "createIndex": {
      const table = existing(host, statement.table, () =>
        new TsqlError(
          1088,
          `Cannot find the object "${full(statement.table)}" because it does not exist or you do not have permissions.`,
          16,
          12
        ))
      if ([...table.keys.map((_) => _.name), ...table.indexes].some((_) => same(_, statement.name))) {
        throw new TsqlError(
          1913,
          `The operation failed because an index or statistics with name '${statement.name}' already exists on table '${
            full(statement.table)
          }'.`
        )
      }
      const names = statement.columns.map((name) => {
        const found = table.columns.find((one) => same(one.name, name))
        if (found === undefined) {
          throw new TsqlError(1911, `Column name '${name}' does not exist in the target table or view.`)
        }
        return found.name
      })
      catalog.define(
        statement.unique
          ? { ...table, keys: [...table.keys, { name: statement.name, kind: "index", columns: names }] }
          : { ...table, indexes: [...table.indexes, statement.name] },
        table,
        () => "NULL"
      )
      return
    }
    case "dropIndex": {
      const table = catalog.find(sqliteName(statement.table))
      const key = table?.keys.find((one) => one.kind === "index" && same(one.name, statement.name))
      const plain = table?.indexes.find((one) => same(one, statement.name))
      if (table === undefined || (key === undefined && plain === undefined)) {
        if (statement.ifExists) return
        throw new TsqlError(
          3701,
          `Cannot drop the index '${
            full(statement.table)
          }.${statement.name}', because it does not exist or you do not have permission.`,
          11,
          7
        )
      }
      catalog.define(
        { ...table, keys: table.keys.filter((_) => _ !== key), indexes: table.indexes.filter((_) => _ !== plain) },
        table,
        () => "NULL"
      )
      return
    }
    case "createSchema":
      if (catalog.schemaExists(statement.name)) {
        throw new TsqlError(2714, `There is already an object named '${statement.name}' in the database.`, 16, 6)
      }
      catalog.addSchema(statement.name)
      return
    case "permission": {
      const table = existing(
        host,
        statement.table,
        () =>
          new TsqlError(
            15151,
            `Cannot find the object '${statement.table.name}', because it does not exist or you do not have permission.`
          )
      )
      for (const action of statement.actions) {
        catalog.setDenied(statement.user, table.sqlite, action, statement.verb === "DENY")
      }
      return
    }
    case "truncate": {
      const table = existing(
        host,
        statement.table,
        () =>
          new TsqlError(
            4701,
            `Cannot find the object "${
              full(statement.table)
            }" because it does not exist or you do not have permissions.`
          )
      )
      if (catalog.referring(table.sqlite).length > 0) {
        throw new TsqlError(
          4712,
          `Cannot truncate table '${full(statement.table)}' because it is being referenced by a FOREIGN KEY constraint.`
        )
      }
      host.execute(`DELETE FROM "${table.sqlite.replaceAll("\"", "\"\"")}"`)
      for (const one of table.columns) {
        if (one.identity !== undefined) {
          const { seed, step } = one.identity
          host.identities(table.temporary).set(table.sqlite.toLowerCase(), { next: seed, step })
        }
      }
    }
  }
}
