/** The names of the files of `src/internal/` have a capital where CONTRIBUTING.md says so. */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const src = fileURLToPath(new URL("../../src/", import.meta.url))

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))
  .map((file) => file.replaceAll(path.sep, "/"))

/** In these folders no file has a capital. */
const lower = /^internal\/(check|cli|config|error|http|test|driver\/(pg|mysql|mssql|sqlite))\//

const namesOf = (statement: ts.Statement): ReadonlyArray<string> =>
  ts.isExportDeclaration(statement) && statement.exportClause !== undefined && ts.isNamedExports(statement.exportClause)
    ? statement.exportClause.elements.map(({ name }) => name.text)
    : ts.isVariableStatement(statement)
    ? statement.declarationList.declarations.flatMap(({ name }) => ts.isIdentifier(name) ? [name.text] : [])
    : ts.isClassDeclaration(statement) || ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)
    ? [statement.name?.text ?? ""]
    : []

/** What each file exports, and the files that are imported as a namespace with a capital. */
const exported = new Map<string, ReadonlyArray<string>>()
const namespaces = new Set<string>()

for (const file of files) {
  const { statements } = ts.createSourceFile(file, readFileSync(src + file, "utf8"), ts.ScriptTarget.Latest)
  exported.set(file, statements.flatMap(namesOf))
  for (const statement of statements) {
    const bindings = ts.isImportDeclaration(statement) ? statement.importClause?.namedBindings : undefined
    if (bindings !== undefined && ts.isNamespaceImport(bindings) && /^[A-Z]/.test(bindings.name.text)) {
      // An import's specifier is a text.
      const { text } = (statement as ts.ImportDeclaration).moduleSpecifier as ts.StringLiteral
      namespaces.add(path.posix.join(path.posix.dirname(file), text).replace(/\.js$/, ".ts"))
    }
  }
}

describe("the names of the files", () => {
  it("have a capital where a file is named after what it exports, or is a namespace", () => {
    const wrong = files.filter((file) => file.startsWith("internal/")).flatMap((file) => {
      const name = path.posix.basename(file, ".ts")
      const capital = name.charAt(0).toUpperCase() + name.slice(1)
      const expected = !lower.test(file) && (namespaces.has(file) || exported.get(file)!.includes(capital))
      return expected === (name === capital) ? [] : [`${file}: ${expected ? "with" : "without"} a capital`]
    })
    assert.deepStrictEqual(wrong, [])
    assert.isAbove(files.length, 200)
    assert.isAbove(namespaces.size, 20)
  })
})
