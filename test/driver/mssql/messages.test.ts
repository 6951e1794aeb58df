/** What the server says in a message alone is read from its own words; names and values may hold any words. */
import { describe, expect, it } from "vitest"
import { isCheck, namesIn } from "../../../src/internal/driver/mssql/names.js"

const conflict = (verb: string, kind: string, constraint: string, table: string, column?: string) =>
  `The ${verb} statement conflicted with the ${kind} constraint "${constraint}". The conflict occurred in database "d", ` +
  `table "${table}"${column === undefined ? "" : `, column '${column}'`}.`

/** Names that could be taken for the message's own words, or for its end. */
const odd = ["CHECK", "a CHECK b", "it's", "a\"b", "''", "\"CHECK\"", "x', y 'z", "é 中 [x]", "in object"]

describe("the messages of SQL Server", () => {
  it("are of a check or of a foreign key by their own words, whatever the names are", () => {
    for (const name of odd) {
      for (const kind of ["FOREIGN KEY", "REFERENCE", "FOREIGN KEY SAME TABLE"]) {
        expect(isCheck(conflict("INSERT", kind, name, `dbo.${name}`, name)), name).toBe(false)
      }
      expect(isCheck(conflict("UPDATE", "CHECK", name, `dbo.${name}`)), name).toBe(true)
    }
    // The word is the same in the other languages.
    expect(isCheck("L'instruction INSERT est en conflit avec la contrainte CHECK \"c\". Le conflit ...")).toBe(true)
    expect(isCheck("INSERT 语句与 CHECK 约束\"c\"冲突。")).toBe(true)
    expect(isCheck("Die INSERT-Anweisung steht in Konflikt mit der FOREIGN KEY-Einschränkung \"CHECK\".")).toBe(false)
  })

  it("give their names whole, with quotes and words of the message in them", () => {
    for (const name of odd) {
      const value = `(${name}, 'x', "y", 'z'. The duplicate key value is ('a'))`
      const table = { schema: "dbo", table: name }
      expect(
        namesIn(
          2627,
          `Violation of PRIMARY KEY constraint '${name}'. Cannot insert duplicate key in object 'dbo.${name}'.` +
            ` The duplicate key value is ${value}.`
        ),
        name
      ).toEqual({ constraint: name, ...table })
      expect(
        namesIn(
          2601,
          `Cannot insert duplicate key row in object 'dbo.${name}' with unique index '${name}'.` +
            ` The duplicate key value is ${value}.`
        ),
        name
      ).toEqual({ constraint: name, ...table })
      expect(namesIn(547, conflict("DELETE", "REFERENCE", name, `dbo.${name}`, name)), name)
        .toEqual({ constraint: name, ...table, column: name })
      expect(namesIn(207, `Invalid column name '${name}'.`), name).toEqual({ column: name })
      expect(namesIn(208, `Invalid object name '${name}'.`), name).toEqual({ table: name })
      expect(
        namesIn(
          515,
          `Cannot insert the value NULL into column '${name}', table 'd.dbo.${name}'; column does not allow nulls. INSERT fails.`
        ),
        name
      ).toEqual({ column: name, ...table })
      expect(
        namesIn(
          2628,
          `String or binary data would be truncated in table 'd.dbo.${name}', column '${name}'. Truncated value: '${name}'.`
        ),
        name
      ).toEqual({ column: name, ...table })
      expect(
        namesIn(229, `The SELECT permission was denied on the object '${name}', database 'd', schema '${name}'.`),
        name
      ).toEqual({ table: name, schema: name })
    }
    expect(namesIn(547, conflict("INSERT", "CHECK", "c", "dbo.t"))).toEqual({
      constraint: "c",
      schema: "dbo",
      table: "t"
    })
    // Without a value, as with a key of nothing but NULLs on old versions.
    expect(namesIn(2627, "Violation of UNIQUE KEY constraint 'c'. Cannot insert duplicate key in object 'dbo.t'."))
      .toEqual({ constraint: "c", schema: "dbo", table: "t" })
  })

  it("leave out what cannot be told: which dot of a name is its own", () => {
    expect(namesIn(547, conflict("INSERT", "FOREIGN KEY", "fk", "dbo.a.b", "c"))).toEqual({
      constraint: "fk",
      column: "c"
    })
    expect(
      namesIn(515, "Cannot insert the value NULL into column 'c', table 'd.dbo.a.b'; column does not allow nulls.")
    )
      .toEqual({ column: "c" })
  })

  it("are read in other languages, where an apostrophe is no quote", () => {
    expect(
      namesIn(
        2627,
        "Violation de la contrainte PRIMARY KEY 'pk'. Impossible d'insérer une clé en double dans l'objet 'dbo.t'. Valeur de clé dupliquée : (1)."
      )
    ).toEqual({ constraint: "pk", schema: "dbo", table: "t" })
    expect(
      namesIn(
        547,
        "L'instruction INSERT est en conflit avec la contrainte FOREIGN KEY \"fk\". Le conflit s'est produit dans la base de données \"d\", table \"dbo.t\", column 'x'."
      )
    ).toEqual({ constraint: "fk", schema: "dbo", table: "t", column: "x" })
  })
})
