# make install [PREFIX=/usr/local] [DESTDIR=]: programs, the adapter, the page, the man
# page, completions, systemd's units. aider itself is installed for each user by 100x-setup-aider.
bindir := $(DESTDIR)$(PREFIX)/bin
sharedir := $(DESTDIR)$(PREFIX)/share
# Both lie on systemd's paths for /usr and /usr/local, the first for ~/.local as well.
user_units := $(sharedir)/systemd/user
system_units := $(DESTDIR)$(PREFIX)/lib/systemd/system
unit := sed -e '/^@common@$$/{r scripts/systemd/common' -e 'd}' -e 's,@bindir@,$(PREFIX)/bin,g'

install: programs support
	install -d $(bindir) $(sharedir)/100x/aider $(sharedir)/100x/web $(sharedir)/man/man1 \
		$(sharedir)/bash-completion/completions $(sharedir)/zsh/site-functions \
		$(sharedir)/fish/vendor_completions.d $(sharedir)/doc/100x/examples \
		$(user_units) $(system_units)
	install -m 755 $(PROGRAMS) $(bindir)
	install -m 755 $(B)/tests/practice_model $(bindir)/100x-practice-model
	sed 's,^here=.*,here=$$(CDPATH= cd -- "$$(dirname -- "$$0")/../share/100x" \&\& pwd),; s,worker/aider,aider,g' \
		scripts/setup-aider >$(bindir)/100x-setup-aider
	chmod 755 $(bindir)/100x-setup-aider
	install -m 644 $(wildcard worker/aider/*.py worker/aider/requirements.*) $(sharedir)/100x/aider
	test -f webui/app/dist/index.html || $(MAKE) web
	cp -R --no-preserve=ownership webui/app/dist/. $(sharedir)/100x/web
	install -m 644 docs/man/100x.1 $(sharedir)/man/man1
	$(B)/100x completion bash >$(sharedir)/bash-completion/completions/100x
	$(B)/100x completion zsh >$(sharedir)/zsh/site-functions/_100x
	$(B)/100x completion fish >$(sharedir)/fish/vendor_completions.d/100x.fish
	install -m 644 docs/*.md $(sharedir)/doc/100x
	install -m 644 $(wildcard docs/examples/*.*) $(sharedir)/doc/100x/examples
	$(unit) scripts/systemd/100x.service.in >$(user_units)/100x.service
	$(unit) 'scripts/systemd/100x@.service.in' >'$(system_units)/100x@.service'
	chmod 644 $(user_units)/100x.service '$(system_units)/100x@.service'
