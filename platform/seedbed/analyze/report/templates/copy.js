// Every table copies itself as CSV or LaTeX. Without scripts the page says all the same.
(() => {
  const clean = (cell) => cell.textContent.replace(/[\u202f\u00a0]/g, " ").trim();
  const rows = (table) => [...table.rows].map((row) => [...row.cells].map(clean));

  const csv = (table) => rows(table).map((cells) => cells.map((text) => {
    const plain = text.replace(/\u2212/g, "-").replace(/^(-?\+?\d[\d ]*\d)(\.\d+)?$/, (all) => all.replace(/ /g, ""));
    return /[",\n]/.test(plain) ? `"${plain.replace(/"/g, '""')}"` : plain;
  }).join(",")).join("\n") + "\n";

  const symbols = { "\u2212": "$-$", "\u2013": "--", "×": "$\\times$", "η": "$\\eta$", "²": "\\textsuperscript{2}", "<": "$<$", ">": "$>$" };
  const tex = (text) => text
    .replace(/\\/g, "\\textbackslash{}")
    .replace(/[&%$#_{}]/g, (sign) => `\\${sign}`)
    .replace(/\\textbackslash\\\{\\\}/g, "\\textbackslash{}")
    .replace(/~/g, "\\textasciitilde{}").replace(/\^/g, "\\textasciicircum{}")
    .replace(/[\u2212\u2013×η²<>]/g, (sign) => symbols[sign]);

  const latex = (table) => {
    const body = [...table.rows];
    const widest = Math.max(...body.map((row) => row.cells.length));
    const sample = body[body.length - 1];
    const columns = Array.from({ length: widest }, (_, i) =>
      sample.cells[i] && sample.cells[i].classList.contains("n") ? "r" : "l").join("");
    const line = (row) => `${[...row.cells].map((cell) => tex(clean(cell))).join(" & ")} \\\\`;
    const head = table.tHead ? [...[...table.tHead.rows].map(line), "\\midrule"] : [];
    const rest = [...table.tBodies].flatMap((part) => [...part.rows].map(line));
    return ["% needs \\usepackage{booktabs}", `\\begin{tabular}{${columns}}`, "\\toprule", ...head,
      ...rest, "\\bottomrule", "\\end{tabular}", ""].join("\n");
  };

  const put = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // A page opened as a file may not use the clipboard; a selection may.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };

  for (const box of document.querySelectorAll(".scroll")) {
    const table = box.querySelector("table");
    const bar = document.createElement("p");
    bar.className = table.classList.contains("few") ? "copy few" : "copy";
    for (const [name, write] of [["CSV", csv], ["LaTeX", latex]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.title = `Copy this table as ${name}`;
      button.addEventListener("click", async () => {
        await put(write(table));
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = name; }, 1200);
      });
      bar.append(button);
    }
    box.before(bar);
  }
})();
