// xterm writes its colours and sizes into <style> elements and style attributes, which the
// content security policy refuses. The document it is given here puts the text of the first
// into adopted style sheets and the second through the object model: both are allowed, for
// they cannot come out of markup. (build.mjs makes this the `document` of xterm's module.)

export function adopt(text = ''): CSSStyleSheet {
  const sheet = new CSSStyleSheet();
  if (text) sheet.replaceSync(text);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  return sheet;
}

function styleStandIn(): HTMLElement {
  const element = document.createElement('span');
  element.hidden = true;
  const sheet = adopt();
  Object.defineProperty(element, 'textContent', { set: (text: string) => sheet.replaceSync(text), get: () => '' });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
    Element.prototype.remove.call(element);
  };
  return element;
}

function createElement(name: string): HTMLElement {
  if (name === 'style') return styleStandIn();
  const element = document.createElement(name);
  if (name !== 'span') return element;
  element.setAttribute = (attribute: string, value: string): void => {
    if (attribute === 'style') element.style.cssText = value;
    else Element.prototype.setAttribute.call(element, attribute, value);
  };
  return element;
}

export const safeDocument = new Proxy(document, {
  get(target, name) {
    if (name === 'createElement') return createElement;
    const value: unknown = Reflect.get(target, name, target);
    return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
  },
  set: (target, name, value) => Reflect.set(target, name, value, target),
});
