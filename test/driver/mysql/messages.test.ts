/** What MySQL says in a message alone is read from its own words; names and values may hold any words. */
import { describe, expect, it } from "vitest"
import { namesIn } from "../../../src/internal/driver/mysql/names.js"

const read = (code: number, message: string) => namesIn(code, message, undefined)

describe("the messages of MySQL and MariaDB", () => {
  it("give their names whole, with quotes and words of the message in them", () => {
    for (const name of ["it's", "''", "key 'k", "at row 1", "x' y", "é 中"]) {
      expect(read(1062, `Duplicate entry 'a' for key 'b' for key '${name}'`), name).toEqual({ constraint: name })
      expect(read(1062, `Duplicate entry 'v' for key 't.${name}'`), name).toEqual({ table: "t", constraint: name })
      expect(read(1048, `Column '${name}' cannot be null`), name).toEqual({ column: name })
      expect(read(1054, `Unknown column '${name}' in 'field list'`), name).toEqual({ column: name })
      expect(read(1364, `Field '${name}' doesn't have a default value`), name).toEqual({ column: name })
      expect(read(1406, `Data too long for column '${name}' at row 1`), name).toEqual({ column: name })
      expect(read(1366, `Incorrect integer value: 'x' for column 'y' at row 9' for column '${name}' at row 1`), name)
        .toEqual({ column: name })
      expect(read(1146, `Table 'd.${name}' doesn't exist`), name).toEqual({ schema: "d", table: name })
      expect(read(1051, `Unknown table 'd.${name}'`), name).toEqual({ schema: "d", table: name })
      expect(read(3819, `Check constraint '${name}' is violated.`), name).toEqual({ constraint: name })
    }
    const quoted = "`a``b`"
    expect(
      read(
        1452,
        `Cannot add or update a child row: a foreign key constraint fails (\`d\`.\`CONSTRAINT\`, CONSTRAINT ${quoted} FOREIGN KEY (\`x\`) REFERENCES \`t\` (\`id\`))`
      )
    ).toEqual({ schema: "d", table: "CONSTRAINT", constraint: "a`b" })
  })

  it("that name a table and no key give no constraint", () => {
    expect(read(1022, "Can't write; duplicate key in table 't'")).toEqual({ table: "t" })
    expect(read(1169, "Can't write, because of unique constraint, to table 't'")).toEqual({ table: "t" })
  })

  it("are read in other languages", () => {
    expect(read(1062, "Doppelter Eintrag 'it's' für Schlüssel 'k'")).toEqual({ constraint: "k" })
    expect(read(1048, "Feld 'c' darf nicht NULL sein")).toEqual({ column: "c" })
  })
})
