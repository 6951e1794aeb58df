/**
 * The names that users of the package can reach, read from the built declarations: `publicNames(directory)` gives each with
 * its declaration and its documentation. The API report, the check of the documentation and the test of the examples in
 * it are made from this.
 */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import ts from "typescript"

/** A public name. */
export interface PublicName {
  /** The entry point: `dblive`, `dblive/pg`, ... */
  readonly entry: string
  /** With its namespace, where it is a member of one: `DbConfig.resolve`. */
  readonly name: string
  /** Its declarations without comments, or where it comes from when that is another package. */
  readonly declaration: string
  /** The package it is re-exported from. */
  readonly origin: string | undefined
  readonly summary: string
  readonly tags: ReadonlyArray<{ readonly name: string; readonly text: string }>
  /** Members without a word of documentation. */
  readonly silentMembers: ReadonlyArray<string>
}

const packageOf = (file: string): string =>
  /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file.slice(file.lastIndexOf("node_modules/")))?.[1] ?? file

const printer = ts.createPrinter({ removeComments: true })

const statementOf = (node: ts.Declaration): ts.Node => ts.isVariableDeclaration(node) ? node.parent.parent : node

const hasWords = (checker: ts.TypeChecker, member: ts.Symbol | undefined): boolean =>
  member !== undefined && ts.displayPartsToString(member.getDocumentationComment(checker)).trim() !== ""

/** The public names of the package built in `directory`, which holds `package.json` and `dist`. */
export const publicNames = (directory: string): ReadonlyArray<PublicName> => {
  const manifest: { readonly name: string; readonly exports: Record<string, unknown> } = JSON.parse(
    readFileSync(join(directory, "package.json"), "utf8")
  )
  const entries = Object.entries(manifest.exports).flatMap(([subpath, target]) => {
    const types = typeof target === "object" && target !== null && "types" in target ? target.types : undefined
    return typeof types === "string" && existsSync(join(directory, types))
      ? [{ entry: manifest.name + subpath.slice(1), file: join(directory, types) }]
      : []
  })
  const program = ts.createProgram(entries.map(({ file }) => file), {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    types: []
  })
  const checker = program.getTypeChecker()

  const namesOf = (entry: string, prefix: string, module: ts.Symbol): ReadonlyArray<PublicName> =>
    checker.getExportsOfModule(module).flatMap((exported) => {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      const name = prefix + exported.name
      const declarations = symbol.declarations ?? []
      const own = declarations.filter((node) => node.getSourceFile().fileName.startsWith(join(directory, "dist")))
      if (declarations.length > 0 && own.length === 0) {
        const origin = packageOf(declarations[0]!.getSourceFile().fileName)
        return [{ entry, name, origin, declaration: `// from ${origin}`, summary: "", tags: [], silentMembers: [] }]
      }
      if (symbol.flags & ts.SymbolFlags.ValueModule) {
        return namesOf(entry, `${name}.`, symbol)
      }
      const tags = symbol.getJsDocTags(checker).map((tag) => ({
        name: tag.name,
        text: ts.displayPartsToString(tag.text)
      }))
      // Exported for other modules of the package, and promised to nobody.
      if (tags.some((tag) => tag.name === "internal")) {
        return []
      }
      return [{
        entry,
        name,
        origin: undefined,
        declaration: own.flatMap((node) => [...basesOf(node), statementOf(node)])
          .map((node) => printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile()))
          .sort()
          .join("\n"),
        summary: ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim(),
        tags,
        silentMembers: own.flatMap((node) => membersOf(node)).filter((node) =>
          !hasWords(checker, checker.getSymbolAtLocation(node))
        ).map((node) => node.getText())
      }]
    })

  /** The compiler writes `class A extends A_base` and the base beside it. */
  const basesOf = (node: ts.Declaration): ReadonlyArray<ts.Node> => {
    const base = ts.isClassDeclaration(node) ? node.heritageClauses?.[0]?.types[0]?.expression : undefined
    const declared = base !== undefined && ts.isIdentifier(base) && base.text.endsWith("_base")
      ? checker.getSymbolAtLocation(base)?.declarations?.[0]
      : undefined
    return declared === undefined ? [] : [statementOf(declared)]
  }

  const membersOf = (node: ts.Declaration): ReadonlyArray<ts.Node> =>
    ts.isInterfaceDeclaration(node)
      ? node.members.flatMap((member) => member.name !== undefined && ts.isIdentifier(member.name) ? [member.name] : [])
      : []

  return entries.flatMap(({ entry, file }) => {
    const source = program.getSourceFile(file)
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source)
    if (module === undefined) {
      throw new Error(`${file} is not a module`)
    }
    return namesOf(entry, "", module)
  })
}
