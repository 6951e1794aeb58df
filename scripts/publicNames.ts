/**
 * The names that users of the package can reach, read from the built declarations: `publicNames(directory)` gives each with
 * its declaration and its documentation, under the first entry point that shows it. The API report, the check of the documentation and the test of the examples in
 * it are made from this.
 */
import { existsSync, readFileSync } from "node:fs"
import { join, relative, sep } from "node:path"
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
  /** Its module in `dist/` and its name there: `internal/config/options Options`. */
  readonly declared: ReadonlyArray<string>
  /** Members without a word of documentation. */
  readonly silentMembers: ReadonlyArray<string>
  /** The package's types it is written with and that have no name of their own for users, and those behind them. */
  readonly behind: ReadonlyArray<{ readonly name: string; readonly declaration: string }>
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
  const reachable = new Set<ts.Symbol>()
  const shown = new Map<ts.Symbol, string>()

  const namesOf = (
    entry: string,
    prefix: string,
    module: ts.Symbol,
    isCounted: (node: ts.Node) => boolean = () => true
  ): ReadonlyArray<PublicName> =>
    checker.getExportsOfModule(module).flatMap((exported) => {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      const name = prefix + exported.name
      // A module of the index is an entry point, too.
      if ((shown.get(symbol) ?? entry) !== entry) {
        return []
      }
      shown.set(symbol, entry)
      const declarations = (symbol.declarations ?? []).filter((node) =>
        isCounted(node) && !ts.isModuleDeclaration(node)
      )
      const own = declarations.filter((node) => node.getSourceFile().fileName.startsWith(join(directory, "dist")))
      if (declarations.length > 0 && own.length === 0) {
        const origin = packageOf(declarations[0]!.getSourceFile().fileName)
        return [{
          entry,
          name,
          origin,
          declaration: `// from ${origin}`,
          summary: "",
          tags: [],
          declared: [],
          silentMembers: [],
          behind: []
        }]
      }
      if (symbol.flags & ts.SymbolFlags.ValueModule) {
        return namesOf(entry, `${name}.`, symbol)
      }
      if (declarations.length === 0) {
        return []
      }
      const tags = symbol.getJsDocTags(checker).map((tag) => ({
        name: tag.name,
        text: ts.displayPartsToString(tag.text)
      }))
      // Exported for other modules of the package: no part of the public API.
      if (tags.some((tag) => tag.name === "internal")) {
        return []
      }
      // A class may have types in a namespace of its name; its other exports are its static members.
      const types = symbol.flags & ts.SymbolFlags.NamespaceModule
        ? namesOf(
          entry,
          `${name}.`,
          symbol,
          (node) => ts.isTypeAliasDeclaration(node) || ts.isInterfaceDeclaration(node)
        )
        : []
      return [{
        entry,
        name,
        origin: undefined,
        declaration: printed(own),
        summary: ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim(),
        tags,
        declared: own.map((node) => {
          const module = relative(join(directory, "dist"), node.getSourceFile().fileName).replace(/\.d\.ts$/, "")
          return `${module.replaceAll(sep, "/")} ${symbol.name}`
        }),
        silentMembers: own.flatMap((node) => membersOf(node)).filter((node) =>
          !hasWords(checker, checker.getSymbolAtLocation(node))
        ).map((node) => node.getText()),
        behind: behind(own, new Set())
      }, ...types]
    })

  /** The compiler writes `class A extends A_base` and the base beside it. */
  const basesOf = (node: ts.Declaration): ReadonlyArray<ts.Node> => {
    const base = ts.isClassDeclaration(node) ? node.heritageClauses?.[0]?.types[0]?.expression : undefined
    const declared = base !== undefined && ts.isIdentifier(base) && base.text.endsWith("_base")
      ? checker.getSymbolAtLocation(base)?.declarations?.[0]
      : undefined
    return declared === undefined ? [] : [statementOf(declared)]
  }

  const printed = (nodes: ReadonlyArray<ts.Declaration>): string =>
    nodes.flatMap((node) => [...basesOf(node), statementOf(node)])
      .map((node) => printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile()))
      .sort()
      .join("\n")

  const behind = (nodes: ReadonlyArray<ts.Node>, seen: Set<ts.Symbol>): PublicName["behind"] => {
    const found: Array<PublicName["behind"][number]> = []
    const visit = (node: ts.Node): void => {
      ts.forEachChild(node, visit)
      if (!ts.isIdentifier(node)) {
        return
      }
      const used = checker.getSymbolAtLocation(node)
      const symbol = used !== undefined && used.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(used) : used
      // Of a class users see what its public declarations say; what it is made of is its own affair.
      const declarations =
        symbol?.declarations?.filter((node) =>
          (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) &&
          node.getSourceFile().fileName.startsWith(join(directory, "dist"))
        ) ?? []
      if (symbol === undefined || declarations.length === 0 || seen.has(symbol)) {
        return
      }
      seen.add(symbol)
      if (!reachable.has(symbol)) {
        found.push({ name: symbol.name, declaration: printed(declarations) })
        declarations.forEach(visit)
      }
    }
    nodes.flatMap((node) => [node, ...(ts.isClassDeclaration(node) ? basesOf(node) : [])]).forEach(visit)
    return found
  }

  const membersOf = (node: ts.Declaration): ReadonlyArray<ts.Node> =>
    ts.isInterfaceDeclaration(node)
      ? node.members.flatMap((member) => member.name !== undefined && ts.isIdentifier(member.name) ? [member.name] : [])
      : []

  const modules = entries.map(({ entry, file }) => {
    const source = program.getSourceFile(file)
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source)
    if (module === undefined) {
      throw new Error(`${file} is not a module`)
    }
    return { entry, module }
  })
  const reach = (module: ts.Symbol): void => {
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      reachable.add(symbol)
      if (symbol.flags & ts.SymbolFlags.Module) {
        reach(symbol)
      }
    }
  }
  modules.forEach(({ module }) => reach(module))
  return modules.flatMap(({ entry, module }) => namesOf(entry, "", module))
}
