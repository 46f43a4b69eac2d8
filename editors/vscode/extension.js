// The extension: passes documents to `chainlang lsp`, and shows what it answers.
"use strict";
const vscode = require("vscode");
const { Client } = require("./client.js");

const LANGUAGE = "chainlang";
let client;

const place = (position) => ({ line: position.line, character: position.character });
const placed = (one) => new vscode.Position(one.line, one.character);
const ranged = (one) => new vscode.Range(placed(one.start), placed(one.end));
const written = (range) => ({ start: place(range.start), end: place(range.end) });
const edits = (found) => (found || []).map((one) => new vscode.TextEdit(ranged(one.range), one.newText));

function changes(found) {
  const all = new vscode.WorkspaceEdit();
  for (const [uri, those] of Object.entries((found && found.changes) || {})) {
    all.set(vscode.Uri.parse(uri), edits(those));
  }
  return all;
}

function diagnostic(one) {
  const found = new vscode.Diagnostic(ranged(one.range), one.message, one.severity - 1);
  found.code = one.code;
  found.source = one.source;
  found.sent = one;
  return found;
}

function at(document, position) {
  return { textDocument: { uri: document.uri.toString() }, position: place(position) };
}

// A server that has ended answers nothing; `activate` has said so once.
const asked = (method, params) => client.request(method, params).catch(() => null);

const providers = {
  async provideHover(document, position) {
    const found = await asked("textDocument/hover", at(document, position));
    return found && new vscode.Hover(new vscode.MarkdownString(found.contents.value));
  },
  async provideCompletionItems(document, position) {
    const found = await asked("textDocument/completion", at(document, position));
    return ((found && found.items) || found || []).map((one) => {
      const item = new vscode.CompletionItem(one.label, one.kind === undefined ? 0 : one.kind - 1);
      item.detail = one.detail;
      item.documentation = one.documentation && new vscode.MarkdownString(one.documentation.value);
      if (one.textEdit) {
        item.range = ranged(one.textEdit.range);
        item.insertText = one.textEdit.newText;
      }
      return item;
    });
  },
  async provideDefinition(document, position) {
    const found = await asked("textDocument/definition", at(document, position));
    return found && new vscode.Location(vscode.Uri.parse(found.uri), ranged(found.range));
  },
  async provideRenameEdits(document, position, newName) {
    return changes(await client.request("textDocument/rename", { ...at(document, position), newName }));
  },
  async provideDocumentFormattingEdits(document, options) {
    const textDocument = { uri: document.uri.toString() };
    return edits(await asked("textDocument/formatting", { textDocument, options }));
  },
  async provideCodeActions(document, range, context) {
    const diagnostics = context.diagnostics.filter((one) => one.sent).map((one) => one.sent);
    const textDocument = { uri: document.uri.toString() };
    const found = await asked("textDocument/codeAction", {
      textDocument,
      range: written(range),
      context: { diagnostics },
    });
    return (found || []).map((one) => {
      const action = new vscode.CodeAction(one.title, vscode.CodeActionKind.QuickFix);
      action.edit = changes(one.edit);
      action.isPreferred = one.isPreferred;
      return action;
    });
  },
};

async function activate(context) {
  const command = vscode.workspace.getConfiguration("chainlang").get("command");
  const folders = vscode.workspace.workspaceFolders || [];
  const folder = folders.length ? folders[0].uri.fsPath : undefined;
  const shown = vscode.languages.createDiagnosticCollection(LANGUAGE);
  client = new Client(
    command,
    folder,
    (method, params) => {
      if (method === "textDocument/publishDiagnostics") {
        shown.set(vscode.Uri.parse(params.uri), params.diagnostics.map(diagnostic));
      }
    },
    (why) => {
      shown.clear();
      vscode.window.showWarningMessage(
        `'${command.join(" ")}' has ended (${why}). Install it with: pip install 'chainlang[lsp]'`
      );
    }
  );
  context.subscriptions.push(shown, { dispose: deactivate });
  const root = folders.length ? folders[0].uri.toString() : null;
  const started = await asked("initialize", { processId: process.pid, rootUri: root, capabilities: {} });
  if (!started) return;
  client.notify("initialized", {});

  const isOurs = (document) => document.languageId === LANGUAGE;
  const open = (document) => {
    if (!isOurs(document)) return;
    client.notify("textDocument/didOpen", {
      textDocument: {
        uri: document.uri.toString(),
        languageId: LANGUAGE,
        version: document.version,
        text: document.getText(),
      },
    });
  };
  vscode.workspace.textDocuments.forEach(open);
  const register = vscode.languages;
  context.subscriptions.push(
    vscode.workspace.onDidOpenTextDocument(open),
    vscode.workspace.onDidChangeTextDocument((event) => {
      if (!isOurs(event.document)) return;
      client.notify("textDocument/didChange", {
        textDocument: { uri: event.document.uri.toString(), version: event.document.version },
        contentChanges: event.contentChanges.map((one) => ({ range: written(one.range), text: one.text })),
      });
    }),
    vscode.workspace.onDidCloseTextDocument((document) => {
      if (!isOurs(document)) return;
      client.notify("textDocument/didClose", { textDocument: { uri: document.uri.toString() } });
    }),
    register.registerHoverProvider(LANGUAGE, providers),
    register.registerCompletionItemProvider(LANGUAGE, providers, ":", "$", "(", "{", ".", "@"),
    register.registerDefinitionProvider(LANGUAGE, providers),
    register.registerRenameProvider(LANGUAGE, providers),
    register.registerDocumentFormattingEditProvider(LANGUAGE, providers),
    register.registerCodeActionsProvider(LANGUAGE, providers)
  );
}

async function deactivate() {
  await client.stop();
}

module.exports = { activate, deactivate };
